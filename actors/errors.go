package actors

import (
	"errors"
	"fmt"
)

var (
	// ErrStopped answers a message whose actor is gone, or a spawn on a system
	// that has shut down. The message was not handled.
	ErrStopped = errors.New("actors: actor has stopped")

	// ErrNameTaken is returned by Spawn while an actor of that name lives.
	ErrNameTaken = errors.New("actors: name is taken")

	// ErrOverloaded is what every *OverloadedError is.
	ErrOverloaded = errors.New("actors: overloaded")

	// ErrQuarantined is what every *QuarantinedError is.
	ErrQuarantined = errors.New("actors: message quarantined")

	// ErrCorruptState is wrapped by an actor, in Start or Receive, whose stored
	// state cannot be right, or cannot be read any more because its store has
	// failed. Starting again would find the same: the actor is stopped and
	// reported, and messages for it get the error.
	ErrCorruptState = errors.New("actors: corrupt state")
)

// OverloadedError refuses a message because a bound was reached.
type OverloadedError struct {
	Limit string // which bound, for example "global" or "key"
	Max   int    // messages the bound allows
}

func (e *OverloadedError) Error() string {
	return fmt.Sprintf("actors: overloaded: limit %s of %d messages reached", e.Limit, e.Max)
}

// Is reports whether target is ErrOverloaded.
func (e *OverloadedError) Is(target error) bool { return target == ErrOverloaded }

// QuarantinedError answers a message that panicked the actor handling it.
type QuarantinedError struct {
	Actor string   // name of the actor
	ID    [32]byte // the message's QuarantineID, zero if it has none
}

func (e *QuarantinedError) Error() string {
	return fmt.Sprintf("actors: message %x quarantined: %s panicked while handling it", e.ID[:8], e.Actor)
}

// Is reports whether target is ErrQuarantined.
func (e *QuarantinedError) Is(target error) bool { return target == ErrQuarantined }

// StartError is the cause of a restart with backoff: Start failed.
type StartError struct {
	Actor   string // name of the actor
	Attempt int    // consecutive failed starts, from 1
	Err     error  // what Start returned, or a description of its panic
}

func (e *StartError) Error() string {
	return fmt.Sprintf("actors: start %d of %s: %v", e.Attempt, e.Actor, e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }
