package actors

import (
	"context"
	"sync/atomic"
)

// Reply is where the answer to one message goes. A message that wants an
// answer embeds it, which also gives the message the Fail method by which the
// kit answers when the actor cannot.
//
// The first answer counts, later ones are dropped. The zero Reply drops every
// answer. Safe for concurrent use; never blocks.
type Reply[T any] struct {
	channel  chan outcome[T]
	callback *callback[T]
}

type outcome[T any] struct {
	value T
	err   error
}

type callback[T any] struct {
	done atomic.Bool
	call func(T, error)
}

// ReplyFunc returns a Reply that calls call with the first answer, on the
// goroutine of whoever answers. call must not block; an actor that asks another
// one has it tell the answer to itself, since an actor never waits.
func ReplyFunc[T any](call func(T, error)) Reply[T] {
	return Reply[T]{callback: &callback[T]{call: call}}
}

// Send answers with a value.
func (r Reply[T]) Send(value T) { r.answer(outcome[T]{value: value}) }

// Fail answers with an error, which is not nil.
func (r Reply[T]) Fail(err error) { r.answer(outcome[T]{err: err}) }

func (r Reply[T]) answer(o outcome[T]) {
	switch {
	case r.channel != nil:
		select {
		case r.channel <- o:
		default:
		}
	case r.callback != nil:
		if r.callback.done.CompareAndSwap(false, true) {
			r.callback.call(o.value, o.err)
		}
	}
}

// Ask tells to the message that build makes around a Reply, and waits for the
// answer or the end of ctx, whose error it returns then. The message may still
// be handled after that. A stopped actor answers with ErrStopped.
//
// Ask is for goroutines that are no actors: an actor that waits stalls its
// mailbox. Safe for concurrent use.
func Ask[T any](ctx context.Context, to Teller, build func(Reply[T]) any) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	answer := make(chan outcome[T], 1)
	to.Tell(build(Reply[T]{channel: answer}))
	select {
	case o := <-answer:
		return o.value, o.err
	case <-ctx.Done():
	}
	// An answer that made it in time is worth more than the context's error.
	select {
	case o := <-answer:
		return o.value, o.err
	default:
		return none, ctx.Err()
	}
}

// refuse answers a message with err and reports whether the message could be
// answered at all.
func refuse(message any, err error) bool {
	failer, ok := message.(interface{ Fail(error) })
	if ok {
		failer.Fail(err)
	}
	return ok
}
