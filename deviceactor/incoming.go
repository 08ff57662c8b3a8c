package deviceactor

import (
	"errors"
	"slices"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// receive lets the contact's rules read a message.
func (a *Actor) receive(m Receive) {
	r, err := a.contact.Read(a.config.View, m.Message, m.Chat, a.verify)
	if err != nil {
		a.refuse(m.Reply, m.Message, err)
		return
	}
	if !a.waitsForTurn(m, r) {
		a.read(m, r, nil)
	}
}

// read finds who can open a message. prekey is ours that it names, nil if there is none.
func (a *Actor) read(m Receive, r Reading, prekey *bundleactor.Found) {
	if r.InSession() {
		a.decrypt(m, r, OwnPreKey(prekey))
		return
	}
	payload, err := r.Open(a.config.Identity)
	if err != nil {
		a.refuse(m.Reply, m.Message, err)
		return
	}
	in := receiving(m, r)
	in.result.Payload = payload
	a.enqueue(&in.work)
}

// incoming is a message being received.
type incoming struct {
	work
	reply   actors.Reply[struct{}]
	sender  string // its installation, of a message in a session
	reading Reading
	ask     sessionactor.Decrypt
	result  sessionactor.Decrypted // the answer, or the work's error
}

func receiving(m Receive, r Reading) *incoming {
	in := &incoming{reply: m.Reply, reading: r}
	in.task, in.timing = in, newTiming(Receiving, m.Since)
	return in
}

// refuse reports a message that changed nothing.
func (a *Actor) refuse(to actors.Reply[struct{}], m *wire.Message, err error) {
	for _, e := range a.contact.Refused(m, err) {
		a.config.Host.Deliver(e)
	}
	if !errors.Is(err, ErrOwnEcho) {
		a.config.Counters.Refused.Add(CauseOf(err))
	}
	to.Fail(err)
	if repeated(err) {
		a.config.Host.Repeated()
	}
	a.remedy(err, m.InstallationID)
}

// repeated tells whether a refused message may be one that was read before.
func repeated(err error) bool {
	return slices.ContainsFunc(
		[]error{ratchet.ErrMessageKeyGone, ratchet.ErrUnknownRatchetKey, ErrReplayed},
		func(cause error) bool { return errors.Is(err, cause) },
	)
}

// OwnPreKey is what the sessions need of a signed prekey of ours; nil of nil.
func OwnPreKey(found *bundleactor.Found) *sessionactor.OwnPreKey {
	if found == nil {
		return nil
	}
	return &sessionactor.OwnPreKey{Key: found.Key, Newer: found.Newer}
}

// decrypt gives the message to the session actor of the sender's installation.
func (a *Actor) decrypt(m Receive, r Reading, prekey *sessionactor.OwnPreKey) {
	sender := m.Message.InstallationID
	now := a.config.Host.Now()
	part, err := a.contact.Incoming(a.config.View, r, prekey, now)
	from, known := a.contact.Find(sender)
	if err == nil && !known && a.handovers.len() >= maxSessionActors {
		err = ErrTooManyInstallations
	}
	if err != nil {
		a.refuse(m.Reply, m.Message, err)
		return
	}
	in := receiving(m, r)
	in.waiting, in.sender = 1, sender
	self := a.self
	in.ask = sessionactor.Decrypt{
		Incoming: part,
		Encoded:  m.Encoded,
		Now:      now,
		Active:   from.Session,
		Timed:    in.timing != nil,
		Reply: actors.ReplyFunc(func(r sessionactor.Decrypted, err error) {
			in.result, in.err = r, err
			self.Tell(decrypted{in})
		}),
	}
	a.sessions.Tell(a.sessionName(sender), &in.ask)
	a.enqueue(&in.work)
}

// finish answers whoever handed the message in.
func (in *incoming) finish(a *Actor, err error) {
	switch {
	case err == nil:
		a.config.Counters.Received.Add(1)
		in.reply.Send(struct{}{})
	case Unhandled(err):
		in.reply.Fail(err)
	default:
		a.refuse(in.reply, in.reading.Message, err)
	}
}

func (a *Actor) count(started, turned bool) {
	if started {
		a.config.Counters.SessionsStarted.Add(1)
	}
	if turned {
		a.config.Counters.RatchetSteps.Add(1)
	}
}

func (a *Actor) decrypted(in *incoming) {
	in.transitions(a, in.sender, in.result.Transitions, nil)
	a.count(in.result.Started, in.result.Turned)
	if in.timing != nil && in.err == nil {
		a.config.Host.Timed(Receiving, Computed, in.result.Took)
	}
	a.answered(&in.work, in.sender, in.result.Records, in.err)
}

// prepare makes what an authentic message changes.
func (in *incoming) prepare(a *Actor) error {
	if in.err != nil {
		return in.err
	}
	contact, effects, err := a.contact.Receive(a.config.View, in.reading, in.result.Payload, a.config.Host.Now())
	if err != nil {
		return err
	}
	contact, used := contact.uses(in.sender, in.result.Active)
	effects.add(used)
	in.take(a, contact, effects)
	return nil
}

// verifiedBundles remembers the last bundles that were found good: most
// messages carry one that has been seen before.
type verifiedBundles struct {
	bundles []wire.Bundle
	next    int // the place of the next one, once there are maxVerified
}

const maxVerified = 4

func (v *verifiedBundles) add(b *wire.Bundle) {
	if len(v.bundles) < maxVerified {
		v.bundles = append(v.bundles, *b)
		return
	}
	v.bundles[v.next] = *b
	v.next = (v.next + 1) % maxVerified
}

// verify checks a bundle of the contact, once: what was taken is recognised after the
// contact has left memory, too.
func (a *Actor) verify(b *wire.Bundle) error {
	if x3dh.IdentityPublicKey(b.Identity) != a.peer {
		return x3dh.ErrBundleIdentity
	}
	for i := range a.verified.bundles {
		if a.verified.bundles[i].Equal(b) {
			return nil
		}
	}
	if !a.contact.Verified(b) {
		a.config.Counters.Verified.Add(1)
		if err := x3dh.CheckBundle(b, a.config.Host.Now()); err != nil {
			return err
		}
	}
	a.verified.add(b)
	return nil
}
