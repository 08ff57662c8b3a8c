package actors

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"
)

// spawning is what protoactor wants to know of an actor that is spawned: it asks for its
// mailbox during the call and not later, so that one after the other can be spawned with
// the same. What is different between actors hangs from their mailboxes.
type spawning struct {
	props   *actor.Props
	mailbox *guardedMailbox // of the actor that is being spawned
}

func newSpawning(supervised actor.PropsOption) *spawning {
	s := new(spawning)
	s.props = actor.PropsFromProducer(
		func() actor.Actor { return new(host) },
		actor.WithMailbox(func() actor.Mailbox { return s.mailbox }),
		supervised,
	)
	return s
}

// spawner is an actor, or nobody, under whom another one starts.
type spawner interface {
	SpawnNamed(props *actor.Props, name string) (*actor.PID, error)
}

// spawn starts an actor of that name under a parent. It runs none of its code.
// ErrNameTaken if there is one.
func (s *System) spawn(under spawner, name string, of origin) (*guardedMailbox, error) {
	next := s.spawns.Get().(*spawning)
	mailbox := newGuardedMailbox(s, of)
	next.mailbox = mailbox
	_, err := under.SpawnNamed(next.props, name)
	next.mailbox = nil
	s.spawns.Put(next)
	if errors.Is(err, actor.ErrNameExists) {
		err = ErrNameTaken
	}
	return mailbox, err
}
