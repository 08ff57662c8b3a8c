package actors

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Backoff spaces the attempts to start an actor whose Start fails: First
// before the second attempt, doubled for each further one up to Max, and of
// that a random part between one half and the whole.
type Backoff struct {
	First  time.Duration  // default 100 ms
	Max    time.Duration  // default 30 s
	Random func() float64 // in [0, 1), safe for concurrent use; default math/rand/v2
}

func (b Backoff) withDefaults() Backoff {
	if b.First <= 0 {
		b.First = 100 * time.Millisecond
	}
	if b.Max <= 0 {
		b.Max = 30 * time.Second
	}
	if b.Random == nil {
		b.Random = rand.Float64
	}
	return b
}

// delay returns the pause after the given number of failed starts, from 1.
func (b Backoff) delay(attempt int) time.Duration {
	delay := min(b.First, b.Max)
	for range attempt - 1 {
		// Compared by halves, so that no doubling can overflow.
		if delay > b.Max/2 {
			delay = b.Max
			break
		}
		delay *= 2
	}
	return delay/2 + time.Duration(b.Random()*float64(delay-delay/2))
}

// supervisor decides by cause, for the children of every actor and for those
// without a parent. It counts nothing: no number of failures stops an actor.
type supervisor struct {
	system *System
}

// HandleFailure implements protoactor's strategy interface. It runs in the
// parent, or in the failing actor if that has none.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, parent actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	cause, _ := reason.(error)
	var start *StartError
	switch {
	case errors.Is(cause, ErrCorruptState):
		s.system.logger.Error("actor stopped", "actor", child.Id, "cause", cause)
		if report := s.system.options.OnCorrupt; report != nil {
			report(child.Id, cause)
		}
		parent.StopChildren(child)
	case errors.As(cause, &start):
		delay := s.system.options.Backoff.delay(start.Attempt)
		s.system.logger.Warn("actor did not start", "actor", child.Id, "cause", cause, "retry_in", delay)
		time.AfterFunc(delay, func() { parent.RestartChildren(child) })
	default:
		s.system.logger.Warn("actor restarts", "actor", child.Id, "cause", cause)
		parent.RestartChildren(child)
	}
}
