package actors

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// Quarantined describes a message that panicked the actor handling it. It
// holds nothing of the message itself, nor of the panic value unless that is
// an error of the Go runtime.
type Quarantined struct {
	Actor       string   // name of the actor
	MessageType string   // Go type
	ID          [32]byte // what the message's QuarantineID() [32]byte returned; zero if it has none
	Cause       string
	Stack       string // function, file name and line of each frame, innermost first
}

// quarantine records the message and returns the cause for its reply and for
// the supervisor.
func (s *System) quarantine(name string, message, value any) error {
	s.poisoned.Add(1)
	q := Quarantined{
		Actor:       name,
		MessageType: fmt.Sprintf("%T", message),
		Cause:       describePanic(value),
		Stack:       callers(),
	}
	if identified, ok := message.(interface{ QuarantineID() [32]byte }); ok {
		q.ID = identified.QuarantineID()
	}
	s.logger.Error("message quarantined", "actor", q.Actor, "message_type", q.MessageType,
		"id", fmt.Sprintf("%x", q.ID), "cause", q.Cause, "stack", q.Stack)
	if record := s.options.OnQuarantine; record != nil {
		record(q)
	}
	return &QuarantinedError{Actor: q.Actor, ID: q.ID}
}

// describePanic never shows more than the type of a value that code of ours
// may have put message content into.
func describePanic(value any) string {
	if err, ok := value.(runtime.Error); ok {
		return "panic: " + err.Error()
	}
	return fmt.Sprintf("panic with a value of type %T", value)
}

// callers is the stack of a recovering goroutine without the arguments that
// runtime/debug prints: an array passed by value would show key bytes.
func callers() string {
	var pcs [32]uintptr
	// Skip runtime.Callers, callers and the deferred function.
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var b strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&b, "%s %s:%d\n", frame.Function, filepath.Base(frame.File), frame.Line)
		if !more {
			return b.String()
		}
	}
}
