package sealing

import "context"

// RotateSlowly is a rotation as the background does it.
func (s *Store) RotateSlowly(ctx context.Context) error { return s.rotateSlowly(ctx, true) }

// Clean is whether the store was left with nothing to forget.
func (s *Store) Clean() bool { return s.head.clean }
