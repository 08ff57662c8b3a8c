package rookery

import "time"

// Sweep tells the tick of a moment to all actors: tests of what takes days do
// not wait for it.
func (e *Engine) Sweep(now time.Time) { e.system.Sweep(now) }
