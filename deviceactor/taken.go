package deviceactor

import (
	"cmp"
	"context"
	"errors"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
)

// ErrWithdrawn: the contact was forgotten before the transport has taken the
// message, which is not published any more.
var ErrWithdrawn = errors.New("deviceactor: message was withdrawn")

// AwaitTaken asks to be told when the transport has taken a message that was sent
// to the contact: at once, if it does not wait any more. It is told ErrUnsent of one that
// was reported as Unsent, ErrWithdrawn, or actors.ErrStopped when the contact leaves
// memory before.
type AwaitTaken struct {
	actors.Reply[struct{}]
	ID MessageID
}

func (a *Actor) awaitTaken(m AwaitTaken) {
	u, waits := a.unaccepted[m.ID]
	switch {
	case !waits:
		answer(m.Reply, a.became(m.ID))
		return
	case u.told:
		m.Fail(a.unsent())
		return
	}
	if a.awaited == nil {
		a.awaited = make(map[MessageID][]AwaitTaken)
	}
	a.awaited[m.ID] = append(a.awaited[m.ID], m)
}

// became is what became of a message that does not wait any more: nil if the transport
// has taken it.
func (a *Actor) became(id MessageID) error {
	_, err := a.config.Reader.Get(context.Background(), droppedName(a.config.Owner, a.peer, id))
	if errors.Is(err, persistence.ErrNotFound) {
		return nil
	}
	return cmp.Or(err, ErrUnsent)
}

// taken answers those who wait for a message that the transport has taken.
func (a *Actor) taken(id MessageID) {
	for _, m := range a.awaited[id] {
		m.Send(struct{}{})
	}
	delete(a.awaited, id)
}

// untaken answers those who wait for a message with the reason why it is not taken any
// more.
func (a *Actor) untaken(id MessageID, err error) {
	for _, m := range a.awaited[id] {
		m.Fail(err)
	}
	delete(a.awaited, id)
}

// untakenAll answers all who wait with the reason why nobody will tell them.
func (a *Actor) untakenAll(err error) {
	for id := range a.awaited {
		a.untaken(id, err)
	}
	a.awaited = nil
}
