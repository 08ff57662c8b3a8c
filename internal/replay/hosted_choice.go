package replay

import (
	"context"
	"errors"
	"slices"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
)

// Places of sessions that are not in the list.
const (
	freshSession = -1
	noSession    = -2
)

// use is how one installation is sent to: by our rules and in the recording.
type use struct {
	id       string
	entry    sessionactor.Entry
	targeted bool // by our rules
	sessions sessionactor.Sessions
	// part is the recorded one, nil if there is none, and recorded the session
	// that it was made with.
	part     *wire.Part
	recorded int
	// chosen is the session that our rules choose, header whether its message
	// carries the X3DH header; err is why none can be chosen.
	chosen int
	header bool
	err    error
}

// uses pairs the installations that our rules send to with the recorded parts.
func (x *sending) uses(contact *deviceactor.Contact, draft *deviceactor.Draft) ([]use, error) {
	var list []use
	for i := range draft.Targets {
		list = append(list, use{id: draft.Targets[i].ID, entry: draft.Targets[i].Entry, targeted: true})
	}
	for i := range x.recorded.Entries {
		e := &x.recorded.Entries[i]
		if e.Part.DR == nil {
			continue
		}
		at := slices.IndexFunc(list, func(u use) bool { return u.id == e.Recipient })
		if at < 0 {
			at = len(list)
			known, _ := contact.Find(e.Recipient)
			list = append(list, use{id: e.Recipient, entry: known.Entry})
		}
		list[at].part = &e.Part
	}
	for i := range list {
		u := &list[i]
		sessions, err := x.run.Sessions(context.Background(), x.to, u.id)
		if err != nil {
			return nil, err
		}
		u.sessions = sessions
		x.choose(u)
		u.recorded = x.recordedSession(u)
	}
	return list, nil
}

// choose asks the rules of sessions, and keeps nothing of the result.
func (x *sending) choose(u *use) {
	out := sessionactor.Outgoing{Entry: u.entry, Own: x.own()}
	_, change, part, err := u.sessions.Send(&x.identity, x.ends(u.id), out, x.Clock, constant(1))
	u.chosen, u.header, u.err = freshSession, part.X3DH != nil, err
	if !change.Started {
		u.chosen = indexOf(&u.sessions, change.Session)
	}
}

func (x *sending) ends(installation string) sessionactor.Ends {
	return sessionactor.Ends{Own: x.identity.Public(), OwnInstallation: x.node.installation, Peer: x.to, PeerInstallation: installation}
}

// own is our entry in the bundle that goes with the message.
func (x *sending) own() sessionactor.Entry {
	return deviceactor.EntryOf(&x.bundle, x.node.installation)
}

// recordedSession finds the session behind a recorded part by its prekey and
// ratchet key.
func (x *sending) recordedSession(u *use) int {
	if u.part == nil {
		return noSession
	}
	for i := range u.sessions.List {
		s := u.sessions.List[i]
		if wire.PublicKey(s.PreKey) == u.part.DR.SignedPreKey && string(x.nextKey(u, s)) == string(u.part.DR.RatchetKey) {
			return i
		}
	}
	if h := u.part.X3DH; h != nil && string(x.drawnFor(purposeX3DH, u.id).Pub) == string(h.Ephemeral[:]) {
		return freshSession
	}
	return noSession
}

// nextKey is the public ratchet key of the next message of a session.
func (x *sending) nextKey(u *use, s *sessionactor.Session) []byte {
	if !s.Ratchet.SendPending {
		return s.Ratchet.Self.Public.Bytes()
	}
	if k, known := x.made[s.ID]; known {
		return k.Pub
	}
	return x.drawnFor(purposeRatchet, u.id).Pub
}

// drawnFor is the key that the reference drew in this step for a recipient.
func (x *sending) drawnFor(purpose, recipient string) generatedKey {
	for _, k := range x.Expect.GeneratedKeys {
		if k.Purpose == purpose && k.For == recipient {
			return k
		}
	}
	return generatedKey{}
}

func (u *use) agrees() bool {
	switch {
	case !u.targeted:
		return false
	case u.part == nil || u.err != nil:
		return u.part == nil && u.err != nil
	case u.chosen == freshSession && wire.PublicKey(u.entry.PreKey) != u.part.DR.SignedPreKey:
		return false
	}
	return u.chosen == u.recorded && u.header == (u.part.X3DH != nil)
}

// agree tells whether our rules choose as the reference did, and names why where
// they do not.
func (x *sending) agree(contact *deviceactor.Contact, uses []use) bool {
	all := true
	for i := range uses {
		u := &uses[i]
		if u.agrees() {
			continue
		}
		all = false
		switch rule := x.ruleBehind(contact, uses, u); {
		case rule != "":
			x.rep.explained(KindValue, "session", cause{rule, -1, "for " + u.id})
		case x.rep.like(x.first, KindValue, "message", "prekey of the session", "targets", "part for a target"):
		default:
			x.rep.differs(KindValue, "session", "for %.40q: ours is %d header %t, recorded %d header %t, targeted %t, %v",
				u.id, u.chosen, u.header, u.recorded, u.part != nil && u.part.X3DH != nil, u.targeted, u.err)
		}
	}
	if all {
		x.compareTargets(uses)
	}
	return all
}

// compareTargets compares the installations that our rules send to with the
// recorded list, which has no order that we would know.
func (x *sending) compareTargets(uses []use) {
	recorded := slices.Sorted(slices.Values(x.Expect.Targets))
	var ours []string
	for i := range uses {
		ours = append(ours, uses[i].id)
	}
	slices.Sort(ours)
	x.rep.value("targets", slices.Equal(ours, recorded), "ours %v, recorded %v", ours, recorded)
}

// ruleBehind is the rule that was seen to make our choice another, "" if there
// is none.
func (x *sending) ruleBehind(contact *deviceactor.Contact, uses []use, u *use) string {
	active := indexOf(&u.sessions, u.sessions.Active)
	switch {
	case u.targeted && u.part == nil && u.id == x.node.installation:
		return ruleSameID
	case u.targeted != (u.part != nil):
		return x.targetRule(contact, uses)
	case u.err != nil || u.part == nil:
	case u.recorded >= 0 && x.adopted(u):
		return devSessionStored
	case u.recorded >= 0 && u.chosen == freshSession && active >= 0 && u.entry.PreKey != u.sessions.List[active].MadeFrom.PreKey:
		return ruleNewerPreKey
	case u.recorded >= 0 && u.chosen >= 0 && u.recorded != u.chosen:
		return gaveUp[x.causes[u.sessions.List[u.recorded].ID]]
	case u.recorded == freshSession && u.chosen >= 0:
		s := u.sessions.List[u.chosen]
		if !s.Initiator && s.PreKey != x.own().PreKey {
			return ruleOwnRotation
		}
	}
	return ""
}

// targetRule is the rule for which the message goes to other installations: both
// choose as many as are allowed, or the reference chooses more.
func (x *sending) targetRule(contact *deviceactor.Contact, uses []use) string {
	enabled, ours, recorded := 0, 0, 0
	for _, in := range contact.Installations {
		if in.Enabled {
			enabled++
		}
	}
	for i := range uses {
		if uses[i].targeted {
			ours++
		}
		if uses[i].part != nil {
			recorded++
		}
	}
	own := x.to == x.identity.Public()
	switch {
	case own && ours == maxInstallations-1 && recorded > ours:
		return ruleOwnCap
	case !own && ours == maxInstallations && recorded == ours && enabled > ours:
		return ruleActiveFirst
	}
	return ""
}

// drawSessions sets the randomness in the order in which our rules draw it.
func (x *sending) drawSessions(uses []use) error {
	var all []byte
	var errs []error
	for i := range uses {
		u := &uses[i]
		if u.part == nil {
			continue
		}
		drawn, err := x.randomness(u)
		all, errs = append(all, drawn...), append(errs, err)
	}
	x.draw(all)
	return errors.Join(errs...)
}

// ivSize is the length of the IV before a ciphertext, in bytes.
const ivSize = 16

// randomness is what the recorded part was made with: the keys of a new session,
// or the next ratchet key if it was due, and the IV, which stands in it.
func (x *sending) randomness(u *use) ([]byte, error) {
	var all []byte
	var err error
	switch {
	case u.recorded == freshSession:
		ephemeral, ephemeralErr := x.feed.key(purposeX3DH, u.id)
		ratchetKey, ratchetErr := x.feed.key(purposeRatchet, u.id)
		all, err = slices.Concat(ephemeral, ratchetKey), errors.Join(ephemeralErr, ratchetErr)
	case u.sessions.List[u.recorded].Ratchet.SendPending:
		k, known := x.made[u.sessions.List[u.recorded].ID]
		if all = k.Priv; !known {
			all, err = x.feed.key(purposeRatchet, u.id)
		}
	}
	return append(slices.Clone(all), u.part.Payload[:min(ivSize, len(u.part.Payload))]...), err
}
