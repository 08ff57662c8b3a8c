package replay

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// follow makes the message as the recording has it, with the steps of the
// sessions that it used, so that the installation goes on from where the
// recorded one was: the recorded choice becomes that of our rules.
func (x *sending) follow(uses []use) {
	message := wire.Message{InstallationID: x.node.installation, Bundles: x.recorded.Bundles}
	var records []persistence.Record
	for i := range x.recorded.Entries {
		e := &x.recorded.Entries[i]
		if e.Part.DR == nil {
			part, err := x.followDHOnly()
			if err != nil {
				x.rep.differs(KindWire, "message", "DH-only part: %v", err)
				return
			}
			message.Entries = append(message.Entries, wire.Entry{Recipient: e.Recipient, Part: part})
			continue
		}
		u := &uses[slices.IndexFunc(uses, func(u use) bool { return u.id == e.Recipient })]
		if u.recorded == noSession || u.recorded == freshSession && x.entryOf(u).IsZero() {
			// agree has named the case: we do not have such a session.
			_, _ = x.feed.key(purposeX3DH, u.id)
			_, _ = x.feed.key(purposeRatchet, u.id)
			message.Entries = append(message.Entries, *e)
			continue
		}
		part, written, err := x.followPart(u)
		if err != nil {
			x.rep.differs(KindWire, "message", "part for %.40q: %v", u.id, err)
			return
		}
		message.Entries = append(message.Entries, wire.Entry{Recipient: e.Recipient, Part: part})
		records = append(records, written...)
	}
	x.compare(message.Encode(), x.restore(records, x.Clock))
}

func (x *sending) followDHOnly() (part wire.Part, err error) {
	if err = x.drawDHOnly(); err != nil {
		return part, err
	}
	payload, ephemeral, err := x3dh.SealDHOnly(x.to, x.Payload, &x.drawn)
	return wire.Part{DH: &wire.DHHeader{Ephemeral: wire.PublicKey(ephemeral)}, Payload: payload}, err
}

// entryOf is what an accepted bundle said of the prekey that the recording uses,
// which need not be the newest.
func (x *sending) entryOf(u *use) sessionactor.Entry {
	prekey := u.part.DR.SignedPreKey
	if wire.PublicKey(u.entry.PreKey) == prekey {
		return u.entry
	}
	if known, accepted := x.bundles[peer{x.to, u.id}][prekey]; accepted {
		return sessionactor.Entry{PreKey: x3dh.PreKeyPublic(prekey), Version: known.version, Timestamp: known.timestamp}
	}
	return sessionactor.Entry{}
}

// followPart encrypts with the session of the recording, which becomes the
// active one.
func (x *sending) followPart(u *use) (wire.Part, []persistence.Record, error) {
	sessions := u.sessions
	sessions.List = slices.Clone(u.sessions.List)
	var expired []*sessionactor.Session
	if active := indexOf(&sessions, sessions.Active); active >= 0 && active != u.recorded {
		s := *sessions.List[active]
		s.Status, s.ExpiredAt = sessionactor.Expired, x.Clock
		sessions.List[active] = &s
		expired = append(expired, &s)
	}
	// Without an entry there is no reason to start anew.
	out := sessionactor.Outgoing{Payload: x.Payload, Own: x.own()}
	if u.recorded == freshSession {
		sessions.Active = sessionactor.ID{}
		out.Entry = x.entryOf(u)
	} else {
		s := *sessions.List[u.recorded]
		origin := *s.Origin
		s.Origin, sessions.List[u.recorded] = &origin, &s
		sessions.Active, origin.MadeFrom, s.Status = s.ID, u.entry, sessionactor.Established
		if u.part.X3DH != nil && s.Initiator {
			s.Status = sessionactor.Initiated
		}
	}
	random, err := x.randomness(u)
	if err != nil {
		return wire.Part{}, nil, err
	}
	x.draw(random)
	place := sessionactor.Place{Owner: x.owner(), Ends: x.ends(u.id)}
	_, change, part, err := sessions.Send(&x.identity, place.Ends, out, x.Clock, &x.drawn)
	if err != nil {
		return wire.Part{}, nil, fmt.Errorf("recorded session: %w", err)
	}
	change.Put = append(expired, change.Put...)
	return part, place.Records(change, &u.sessions), nil
}

// adopt gives the installation the session of an initial message that we
// refused, if the recorded part was made with it: the reference stores a session
// before anything of it has decrypted.
func (x *sending) adopt(e *wire.Entry) {
	prekey := e.Part.DR.SignedPreKey
	ephemeral, refused := x.initial[initialKey{peer{x.to, e.Recipient}, prekey}]
	own := x.prekey(prekey)
	if !refused || own == nil || e.Part.X3DH != nil {
		return
	}
	sessions, err := x.run.Sessions(context.Background(), x.to, e.Recipient)
	if err != nil || slices.ContainsFunc(sessions.List, func(s *sessionactor.Session) bool { return bytes.Equal(s.Ephemeral[1:], ephemeral[1:]) }) {
		return
	}
	begun, err := newResponder(x.node, peer{x.to, e.Recipient}, own, ephemeral)
	if err != nil || !bytes.Equal(begun.state.Self.Public.Bytes(), e.Part.DR.RatchetKey) {
		return
	}
	change := sessionactor.Change{Active: sessions.Active, Put: []*sessionactor.Session{{
		Origin: &sessionactor.Origin{
			ID:        sessionactor.ID(begun.id[:]),
			PreKey:    own.Public(),
			Ephemeral: x3dh.EphemeralPublic(ephemeral),
		},
		Status:    sessionactor.Expired, // our rules do not use it
		ExpiredAt: x.Clock,
		Created:   x.Clock,
		Ratchet:   begun.state,
	}}}
	place := sessionactor.Place{Owner: x.owner(), Ends: x.ends(e.Recipient)}
	if err := x.restore(place.Records(change, &sessions), x.Clock); err != nil {
		x.rep.differs(KindValue, "session", "%v", err)
	}
}

// adopted tells whether the recorded session is one that our rules would not
// have: nothing of it has decrypted.
func (x *sending) adopted(u *use) bool {
	s := u.sessions.List[u.recorded]
	return !s.Initiator && s.Ratchet.Remote.IsZero()
}
