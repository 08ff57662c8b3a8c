package sealing

import "context"

// RotateSlowly is a rotation as the background does it.
func (s *Store) RotateSlowly(ctx context.Context) error { return s.rotateSlowly(ctx, true) }
