package sessionactor

import (
	"io"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// Reservation is a run of message numbers of one session that whoever holds it
// sends with, without asking the session again (docs/adr/0016). What is not
// used of it was skipped. It lives in memory only.
type Reservation struct {
	Session ID
	// Part is what goes with each message, but for the number and the payload.
	// Until the peer has answered on this very session, it has the X3DH header.
	Part  wire.Part
	Block *ratchet.Block
}

// Reserve is the step of reserving the next size message numbers of the session
// that Send would use, which is picked or made by the same rules; out has no
// payload. A ratchet key that is to be answered is answered now: the new pair is
// durable before its first ciphertext. It returns the next Sessions and leaves s
// as it was.
func (s Sessions) Reserve(own *x3dh.IdentityKey, ends Ends, out Outgoing, size uint32, now int64, rand io.Reader) (Sessions, Change, Reservation, error) {
	next, change, session, err := s.choose(own, ends, out, now, rand)
	if err != nil {
		return s, Change{}, Reservation{}, err
	}
	state, block, err := session.Ratchet.Reserve(size, rand)
	if err != nil {
		return s, Change{}, Reservation{}, err
	}
	change.sent(session, state)
	part := session.part(ratchet.Message{Header: block.Header()}, out.Own)
	return next, change, Reservation{session.ID, part, block}, nil
}

func (a *Actor) reserve(m Reserve) (Reserved, error) {
	out := Outgoing{Entry: m.Entry, Own: m.Own}
	next, change, reservation, err := a.sessions.Reserve(a.config.Identity, a.config.Place.Ends, out, m.Size, m.Now, a.config.Random)
	if err != nil {
		return Reserved{}, err
	}
	records := a.config.Place.records(change, a.sessions)
	a.advance(next, change)
	return Reserved{reservation, records, change.Transitions, change.Started, change.Turned}, nil
}
