// Package actors is the runtime kit that the actor packages stand on. It is
// the only place that knows protoactor-go.
//
// It owns how an actor starts, receives, fails, restarts, passivates and
// stops; asking with a context; admission before the mailbox; quarantine of a
// message that panics; mailboxes and the workers that run them; and the tick that
// drives idling. It does not know what the actors do: no identity, session, key,
// record, transport or wire format.
//
// # What holds
//
// Nothing is lost in silence. A message that was told is handled, or answered
// through its Fail method (see Reply): with ErrStopped when its actor is gone,
// with *QuarantinedError when handling it panicked, with *OverloadedError when
// a bound was reached, with the actor's own error when it gave up on its
// state. Stopping an actor lets it handle what is queued first, lets a parent
// see the answers of its children, and waits until the actor says that its
// work in flight is done (Drainer). Passivation hands over: what comes for a
// child that is stopping waits in order and goes to its next life.
//
// A failure stays in its room. A panic costs the message that raised it; the
// actor starts again from the store and takes the next one, as often as it
// takes. An actor that waits keeps no other from running for longer than a few
// milliseconds. Only a start that fails is slowed down, and only ErrCorruptState
// stops an actor for good. When an actor with children starts again, the
// children finish what they have queued and stop before it does; a parent whose
// children wait for its answers goes on without starting again (Resumer).
//
// No message is ever logged, only its Go type; of a panic value only the text
// of the runtime's own errors and otherwise the type; of a stack only function
// names and lines, since printed arguments may hold key bytes.
//
// # What is used of protoactor-go, and what is not
//
// Used: spawn, supervision, the Terminated notice.
// Avoided, each for a reason seen in the pinned version:
//
//   - RequestFuture: data race on time-out, second waiter hangs, five times
//     the cost of a reply channel. Here: Ask.
//   - SetReceiveTimeout: its timer goroutine races with the actor. Here: Sweep.
//   - Its mailboxes: the unbounded one is seven objects that lie apart, and may
//     hand one more message to an actor that has just failed. Here: one object
//     and one lock. With the bounded ones the sender spins or a core burns after
//     the first drop. Here: Admission, before the mailbox.
//   - Its dispatchers: a goroutine for each run. Here: few workers.
//   - Stop and Poison as they are: what is queued behind them is dropped with
//     no dead letter. Here: the guarded mailbox drains first and refuses what
//     comes after.
//   - Restart after Stop: a Restart that is under way when its actor stops
//     brings the stopped actor back to life beside its successor. The guarded
//     mailbox ignores it.
//   - A name can be told to some instructions before its mailbox knows its actor.
//     The guarded mailbox keeps what comes then behind Started.
//   - Stash: last in, first out, lost on stop. Here: the buffer of Children.
//   - the default supervisor: stops a child for good after eleven failures in
//     ten seconds; the backoff supervisor: jitter in nanoseconds.
//   - persistence, router, remote, cluster and metrics: not needed, and each
//     with faults of its own.
//   - its logger: prints whole messages. It is replaced by one that discards.
package actors
