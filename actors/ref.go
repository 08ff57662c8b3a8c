package actors

// Ref names an actor to tell messages to. It is a value, safe for concurrent
// use, and stays valid when the actor restarts. The zero Ref refers to no
// actor and refuses every message with ErrStopped.
//
// A Ref of a child that its parent passivates is for the child's own use
// (Context.Self): everyone else goes through the parent, who hands over.
type Ref struct{ mailbox *guardedMailbox }

// Tell puts message into the actor's mailbox and returns at once. Messages of
// one sender arrive in order. Tell panics if message is nil.
func (r Ref) Tell(message any) {
	mustBeMessage(message)
	switch {
	case r.mailbox == nil:
		refuse(message, ErrStopped)
	case !r.mailbox.tell(message):
		// It has stopped; another actor may have its name by now.
		r.mailbox.system.proto.Root.Send(r.mailbox.owner.Self(), message)
	}
}

// mustBeMessage panics for nil, which no actor could handle and nobody could answer.
func mustBeMessage(message any) {
	if message == nil {
		panic("actors: nil message")
	}
}

// String returns the actor's name, the names of its parents before it.
func (r Ref) String() string {
	if r.mailbox == nil {
		return "no actor"
	}
	return r.mailbox.name()
}
