package replay

import (
	"bytes"
	"context"
	"errors"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// sending is one recorded message that our rules make as well.
type sending struct {
	*hosted
	*step
	rep, first *Step
	to         x3dh.IdentityPublicKey
	recorded   *wire.Message
	feed       *feed
	bundle     wire.Bundle
}

func (h *hosted) send(s *step, first, rep *Step) {
	to, _ := x3dh.ParseIdentity(s.To) // the first pass has refused what is none
	recorded, err := wire.Decode(s.Expect.Message)
	if !s.Expect.OK || err != nil || len(recorded.Bundles) != 1 {
		if !rep.like(first, KindRefusal, "error") {
			rep.differs(KindWire, "message", "recorded ok %t: %v", s.Expect.OK, err)
		}
		return
	}
	x := &sending{hosted: h, step: s, rep: rep, first: first, to: to, recorded: recorded, feed: newFeed(&s.Expect)}
	_, _ = x.feed.key(purposePreKey, "") // the bundle takes it
	x.bundle, err = h.ownBundle(s)
	h.compareBundle(&x.bundle, err, wire.EncodeBundle(recorded.Bundles[0]), first, rep)
	if err != nil {
		return
	}
	switch s.Cmd {
	case "encrypt":
		x.encrypt()
	case "advertise":
		x.advertise()
	default:
		rep.outside(NotChecked, "message", "our rules are not asked for such messages")
	}
}

// advertise makes the empty message that shows our bundle.
func (x *sending) advertise() {
	var raw []byte
	err := x.drawDHOnly()
	if err == nil {
		raw, err = deviceactor.Advertisement(x.view(), x.to, x.bundle, &x.drawn)
	}
	x.compare(raw, err)
}

func (x *sending) drawDHOnly() error {
	scalar, err := x.feed.key(purposeDHEphemeral, wire.NoInstallation)
	nonce, nonceErr := x.feed.nonce()
	x.draw(scalar, nonce)
	return errors.Join(err, nonceErr)
}

// encrypt makes a message for all installations of an identity: with Send where
// our rules choose as the reference did, else with the recorded choice.
func (x *sending) encrypt() {
	for i := range x.recorded.Entries {
		if e := &x.recorded.Entries[i]; e.Part.DR != nil {
			x.lookUpTarget(e)
			x.adopt(e)
		}
	}
	contact, err := x.run.Contact(context.Background(), x.to)
	if err != nil {
		x.rep.differs(KindValue, "contact", "%v", err)
		return
	}
	draft, err := contact.Draft(x.view(), x.Payload, x.Clock)
	entries := x.recorded.Entries
	dhOnly := len(entries) == 0 || len(entries) == 1 && entries[0].Part.DR == nil
	if dhOnly && errors.Is(err, deviceactor.ErrNoTarget) {
		x.rep.explained(KindWire, "message", cause{ruleNoTarget, -1, err.Error()})
		return
	}
	if dhOnly && err == nil && len(draft.Targets) == 0 {
		x.transmit(x.drawDHOnly())
		return
	}
	uses, err := x.uses(&contact, &draft)
	switch {
	case err != nil:
		x.rep.differs(KindValue, "sessions", "%v", err)
	case !x.agree(&contact, uses):
		x.follow(uses)
	case x.to == x.identity.Public():
		x.rep.explained(KindWire, "message", cause{ruleOwnWrapper, -1, "made without it"})
		x.follow(uses)
	default:
		x.transmit(x.drawSessions(uses))
	}
}

// lookUpTarget looks up a bundle of a recipient whose prekey we do not have.
func (x *sending) lookUpTarget(e *wire.Entry) {
	contact, err := x.run.Contact(context.Background(), x.to)
	if err != nil {
		return
	}
	known, _ := contact.Find(e.Recipient)
	if known.Entry.IsZero() || e.Part.X3DH != nil && wire.PublicKey(known.Entry.PreKey) != e.Part.X3DH.SignedPreKey {
		x.lookUp(x.rep, x.to, e.Recipient, x.Clock)
	}
}

// transmit lets our rules make the message.
func (x *sending) transmit(err error) {
	if err == nil {
		_, err = x.run.Send(context.Background(), x.to, x.Payload, x.Clock)
	}
	if err != nil || len(x.published) == 0 {
		x.rep.differs(KindWire, "message", "ours: %v", err)
		return
	}
	x.compare(x.published[0], nil)
	for _, e := range x.events {
		if alarm, ok := e.(deviceactor.Alarm); ok && errors.Is(alarm.Err, deviceactor.ErrCopyLost) {
			x.rep.explained(KindValue, "copies", cause{ruleCopies, -1, "another message follows"})
		}
	}
}

// compare compares the message with the recorded one. Its bundle was compared
// before.
func (x *sending) compare(raw []byte, err error) {
	ours, decodeErr := wire.Decode(raw)
	if err = errors.Join(err, decodeErr); err != nil {
		x.rep.differs(KindWire, "message", "ours: %v", err)
		return
	}
	if left := x.feed.left(); len(left) > 0 {
		x.rep.differs(KindValue, "generated_keys", "we did not ask for %v", left)
	}
	ours.Bundles = x.recorded.Bundles
	stamped := unstamp(ours)
	switch {
	case !bytes.Equal(ours.Encode(), x.Expect.Message):
		x.rep.differs(KindWire, "message", "%s", messageDifference(ours, x.recorded))
	case stamped:
		x.rep.explained(KindWire, "message", cause{ruleMadeWith, -1, "all else is equal"})
	default:
		x.rep.equal(KindWire, "message")
	}
}

// unstamp takes out what our X3DH headers say beyond the recorded ones, and
// tells whether there was anything.
func unstamp(m *wire.Message) (stamped bool) {
	for i := range m.Entries {
		if h := m.Entries[i].Part.X3DH; h != nil && h.MadeWith != (wire.PreKeyStamp{}) {
			h.MadeWith, stamped = wire.PreKeyStamp{}, true
		}
	}
	return stamped
}
