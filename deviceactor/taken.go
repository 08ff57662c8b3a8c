package deviceactor

import (
	"errors"

	"github.com/rookery-im/rookery/actors"
)

// ErrWithdrawn: the contact was forgotten before the transport has taken the
// message, which is not published any more.
var ErrWithdrawn = errors.New("deviceactor: message was withdrawn")

// AwaitTaken asks to be told when the transport has taken a message that was sent
// to the contact: at once, if it does not wait any more. It is told ErrWithdrawn,
// or actors.ErrStopped when the contact leaves memory before.
type AwaitTaken struct {
	actors.Reply[struct{}]
	ID MessageID
}

func (a *Actor) awaitTaken(m AwaitTaken) {
	if _, waits := a.unaccepted[m.ID]; !waits {
		m.Send(struct{}{})
		return
	}
	if a.awaited == nil {
		a.awaited = make(map[MessageID][]AwaitTaken)
	}
	a.awaited[m.ID] = append(a.awaited[m.ID], m)
}

// taken answers those who wait for a message that the transport has taken.
func (a *Actor) taken(id MessageID) {
	for _, m := range a.awaited[id] {
		m.Send(struct{}{})
	}
	delete(a.awaited, id)
}

// untaken answers all who wait with the reason why nobody will tell them.
func (a *Actor) untaken(err error) {
	for _, waiting := range a.awaited {
		for _, m := range waiting {
			m.Fail(err)
		}
	}
	a.awaited = nil
}
