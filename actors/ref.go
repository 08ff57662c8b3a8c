package actors

import "github.com/asynkron/protoactor-go/actor"

// Ref names an actor to tell messages to. It is a value, safe for concurrent
// use, and stays valid when the actor restarts. The zero Ref refers to no
// actor and refuses every message with ErrStopped.
//
// A Ref of a child that its parent passivates is for the child's own use
// (Context.Self): everyone else goes through the parent, who hands over.
type Ref struct {
	system *System
	pid    *actor.PID
}

// Tell puts message into the actor's mailbox and returns at once. Messages of
// one sender arrive in order. Tell panics if message is nil.
func (r Ref) Tell(message any) {
	mustBeMessage(message)
	if r.pid == nil {
		refuse(message, ErrStopped)
		return
	}
	r.system.proto.Root.Send(r.pid, message)
}

// mustBeMessage panics for nil, which no actor could handle and nobody could answer.
func mustBeMessage(message any) {
	if message == nil {
		panic("actors: nil message")
	}
}

// String returns the actor's name, the names of its parents before it.
func (r Ref) String() string {
	if r.pid == nil {
		return "no actor"
	}
	return r.pid.Id
}
