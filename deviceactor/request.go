package deviceactor

import (
	"errors"
	"fmt"
)

// ErrDenied: the contact is unknown and the policy is to deny.
var ErrDenied = errors.New("deviceactor: contact requests are denied")

// ErrNoRequest: the contact waits for no answer.
var ErrNoRequest = errors.New("deviceactor: no contact request to answer")

// Standing is how far a contact has got with us (draft, Contact request).
type Standing uint8

const (
	// Stranger: at most its bundles are known. Also what is left of a contact
	// that was denied, which is nothing.
	Stranger Standing = 0
	// Requested: its first message waits for an answer.
	Requested Standing = 1
	// Accepted: we have written to it, were given its bundle by hand, or have
	// accepted its request.
	Accepted Standing = 2
)

// String names the standing.
func (s Standing) String() string {
	switch s {
	case Stranger:
		return "stranger"
	case Requested:
		return "requested"
	case Accepted:
		return "accepted"
	}
	return fmt.Sprintf("standing-%d", uint8(s))
}

// admits tells whether a message of the contact is looked at.
func (c *Contact) admits(v View) bool {
	return v.Requests != DenyAll || c.Standing == Accepted || c.own(v)
}

// introduce is what the first readable message of a contact does.
func (c Contact) introduce(v View) Contact {
	if c.Standing != Stranger || v.Requests == DenyAll && !c.own(v) {
		return c
	}
	c.Standing = Accepted
	if v.Requests == Ask && !c.own(v) {
		c.Standing = Requested
	}
	return c
}

// noted is a contact that a bundle has come of, by hand or not.
func (c Contact) noted(byHand bool, now int64) (Contact, Effects) {
	if byHand {
		return c.Accept(now)
	}
	if c.FirstSeen != 0 {
		return c, Effects{}
	}
	c.FirstSeen = now
	return c, Effects{Contact: true}
}

// Accept answers the contact's request. It is also what writing to a contact
// and taking its bundle by hand do.
func (c Contact) Accept(now int64) (Contact, Effects) {
	var e Effects
	if c.FirstSeen == 0 || c.Standing != Accepted {
		e.Contact = true
	}
	if c.FirstSeen == 0 {
		c.FirstSeen = now
	}
	c.Standing = Accepted
	return c, e
}
