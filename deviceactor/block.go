package deviceactor

import (
	"errors"

	"github.com/rookery-im/rookery/actors"
)

var (
	// ErrBlocked: the user has blocked the contact: nothing of it is looked at, and
	// nothing is sent to it.
	ErrBlocked = errors.New("deviceactor: contact is blocked")
	// ErrOwnIdentity: it is our own identity, which stands for our other
	// installations and is no contact.
	ErrOwnIdentity = errors.New("deviceactor: it is our own identity")
)

// SetBlocked blocks the contact, known or not, or ends that. ErrOwnIdentity of
// our own.
type SetBlocked struct {
	actors.Reply[struct{}]
	Blocked bool
}

// Block is the step of blocking a contact, or of ending that. What is known of it
// stays: unblocked, it is what it was before. What waits for the application or
// the transport stays too.
func (c Contact) Block(v View, blocked bool, now int64) (Contact, Effects, error) {
	if c.own(v) {
		return c, Effects{}, ErrOwnIdentity
	}
	if c.Blocked == blocked {
		return c, Effects{}, nil
	}
	c.Blocked = blocked
	if c.FirstSeen == 0 {
		c.FirstSeen = now
	}
	return c, Effects{Contact: true}, nil
}

// open tells with ErrBlocked that the contact is blocked.
func (c *Contact) open() error {
	if c.Blocked {
		return ErrBlocked
	}
	return nil
}

func (a *Actor) setBlocked(m SetBlocked) {
	a.change(m.Reply, func(c Contact) (Contact, Effects, error) {
		return c.Block(a.config.View, m.Blocked, a.config.Host.Now())
	})
}
