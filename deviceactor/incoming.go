package deviceactor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// The causes the contact refuses a message for, beside those of its sessions.
var (
	// ErrNotTargeted: the message has entries, none of them for this
	// installation: its sender does not know us yet.
	ErrNotTargeted = errors.New("deviceactor: message is not for this installation")
	// ErrUnsupported: a group message of the hash ratchet, or an unencrypted
	// one.
	ErrUnsupported = errors.New("deviceactor: kind of message is not supported")
	// ErrOwnEcho: a message of this very installation came back.
	ErrOwnEcho = errors.New("deviceactor: own message")
	// ErrTooManyInstallations: one more installation of the contact than are
	// kept.
	ErrTooManyInstallations = errors.New("deviceactor: too many installations")
)

// receive finds the part that is for us and gives it to the session of the
// sender's installation.
func (a *Actor) receive(m Receive) {
	if a.own() && m.Message.InstallationID == a.config.Installation {
		m.Fail(ErrOwnEcho)
		return
	}
	if b := a.sendersBundle(m.Message); b != nil {
		err := a.verify(b)
		if err != nil && (len(m.Message.Entries) == 0 || errors.Is(err, x3dh.ErrBundleSignature)) {
			a.refuse(m, err)
			return
		}
		if err != nil {
			// Not to be believed, which is no reason not to read the message.
			m.Message = withoutBundles(m.Message)
		}
	}
	entry, ok := entryFor(m.Message, a.config.Installation)
	switch {
	case m.Message.HasPublic || ok && entry.Part.HashRatchet:
		a.refuse(m, ErrUnsupported)
	case !ok && len(m.Message.Entries) > 0:
		a.refuse(m, ErrNotTargeted)
	case !ok:
		a.receiveEmpty(m)
	case entry.Part.DH != nil && entry.Part.DR == nil:
		a.receiveDHOnly(m, entry.Part)
	case entry.Part.X3DH != nil:
		a.findPreKey(m, entry.Part)
	default:
		a.decrypt(m, entry.Part, nil)
	}
}

func withoutBundles(m *wire.Message) *wire.Message {
	stripped := *m
	stripped.Bundles = nil
	return &stripped
}

func entryFor(m *wire.Message, installation string) (wire.Entry, bool) {
	for _, recipient := range []string{installation, wire.NoInstallation} {
		for _, e := range m.Entries {
			if e.Recipient == recipient {
				return e, true
			}
		}
	}
	return wire.Entry{}, false
}

// sendersBundle is the bundle of the message that is the sender's own. Those of
// others are not taken from it.
func (a *Actor) sendersBundle(m *wire.Message) *wire.Bundle {
	for i := range m.Bundles {
		if x3dh.IdentityPublicKey(m.Bundles[i].Identity) == a.config.Peer {
			return &m.Bundles[i]
		}
	}
	return nil
}

// refuse reports a message that changed nothing.
func (a *Actor) refuse(m Receive, err error) {
	a.config.Counters.Refused.Add(1)
	a.config.Deliver(MessageRefused{Sender: a.config.Peer, Installation: m.Message.InstallationID, Err: err})
	m.Fail(err)
}

// receiveEmpty takes a message that only carries a bundle.
func (a *Actor) receiveEmpty(m Receive) {
	a.enqueue(&work{finish: func(_ *Actor, err error) { answer(m.Reply, err) }}, func(w *work) error {
		if b := a.sendersBundle(m.Message); b != nil {
			return a.accept(w, b, m.Message.InstallationID)
		}
		return nil
	})
}

func (a *Actor) receiveDHOnly(m Receive, part wire.Part) {
	payload, err := x3dh.OpenDHOnly(a.config.Identity, x3dh.EphemeralPublic(part.DH.Ephemeral), part.Payload)
	if err != nil {
		a.refuse(m, err)
		return
	}
	a.enqueue(a.receiving(m), func(w *work) error {
		// The parity of the ephemeral key is not authenticated.
		hash := sha256.Sum256(append(part.DH.Ephemeral[1:], part.Payload...))
		contact, err := a.contact.Remember(hash)
		if err != nil {
			return err
		}
		a.contact = contact
		if err := w.putContact(a); err != nil {
			return err
		}
		return a.deliver(w, m, sessionactor.Decrypted{Payload: payload}, false)
	})
}

// findPreKey looks up our signed prekey that an initial message names.
func (a *Actor) findPreKey(m Receive, part wire.Part) {
	a.prekeys++
	self := a.self
	a.config.Bundle.Tell(bundleactor.FindPreKey{
		Public: x3dh.PreKeyPublic(part.X3DH.SignedPreKey),
		Reply: actors.ReplyFunc(func(k *bundleactor.Found, err error) {
			self.Tell(gotPreKey{m, part, k, err})
		}),
	})
}

func (a *Actor) gotPreKey(m gotPreKey) {
	if a.prekeys > 0 {
		a.prekeys--
	}
	if m.err != nil {
		m.receive.Fail(fmt.Errorf("%w: signed prekey: %w", sessionactor.ErrUnavailable, m.err))
		return
	}
	var prekey *sessionactor.OwnPreKey
	if m.prekey != nil {
		prekey = &sessionactor.OwnPreKey{Key: m.prekey.Key, Created: m.prekey.Created, Newer: m.prekey.Newer}
	}
	a.decrypt(m.receive, m.part, prekey)
}

// decrypt gives the part to the session actor of the sender's installation.
func (a *Actor) decrypt(m Receive, part wire.Part, prekey *sessionactor.OwnPreKey) {
	sender := m.Message.InstallationID
	if sender == "" {
		a.refuse(m, fmt.Errorf("%w: no sender's installation id", sessionactor.ErrHeader))
		return
	}
	in := sessionactor.Incoming{Part: part, PreKey: prekey}
	known, ok := a.contact.Find(sender)
	if !ok && (len(a.contact.Installations) >= maxInstallations || a.handovers.len() >= maxSessionActors) {
		a.refuse(m, ErrTooManyInstallations)
		return
	}
	if !ok && (part.X3DH == nil || prekey == nil) {
		// Nobody has a session with it, so no actor is needed to say so.
		cause := sessionactor.ErrNoSession
		if part.X3DH != nil {
			cause = sessionactor.ErrUnknownPreKey
		}
		a.refuse(m, cause)
		return
	}
	in.Entry, in.Heard = known.Entry, known.Entry.Timestamp
	if b := a.sendersBundle(m.Message); b != nil {
		in.Sent = entryOf(b, sender)
		next, _ := a.contact.TakeBundle(b, sender, a.ownInstallation(), !a.own(), a.config.Now())
		if fresh, ok := next.Find(sender); ok {
			in.Entry = fresh.Entry
		}
	}
	w := a.receiving(m)
	w.waiting, w.sender = 1, sender
	self := a.self
	a.sessions.Tell(sessionName(sender), sessionactor.Decrypt{
		Incoming: in,
		Hash:     m.Hash,
		Now:      a.config.Now(),
		Reply: actors.ReplyFunc(func(r sessionactor.Decrypted, err error) {
			self.Tell(decrypted{w, r, err})
		}),
	})
	a.enqueue(w, func(w *work) error {
		if w.err != nil {
			return w.err
		}
		return a.deliver(w, m, w.result, true)
	})
}

func (a *Actor) receiving(m Receive) *work {
	return &work{finish: func(a *Actor, err error) {
		switch {
		case err == nil:
		case Unhandled(err):
			m.Fail(err)
			return
		default:
			a.refuse(m, err)
			return
		}
		a.config.Counters.Received.Add(1)
		m.Reply.Send(struct{}{})
	}}
}

func (a *Actor) count(started, turned bool) {
	if started {
		a.config.Counters.SessionsStarted.Add(1)
	}
	if turned {
		a.config.Counters.RatchetSteps.Add(1)
	}
}

func (a *Actor) decrypted(m decrypted) error {
	m.of.err, m.of.result = m.err, m.result
	a.count(m.result.Started, m.result.Turned)
	a.answered(m.of, m.of.sender, m.result.Records, m.err)
	return nil
}

// deliver prepares what an authentic message changes: the sender's bundle, its
// activity, and the inbox.
func (a *Actor) deliver(w *work, m Receive, result sessionactor.Decrypted, forwardSecrecy bool) error {
	now := a.config.Now()
	sender := m.Message.InstallationID
	if b := a.sendersBundle(m.Message); b != nil {
		if err := a.accept(w, b, sender); err != nil {
			return err
		}
	}
	if _, known := a.contact.Find(sender); known || forwardSecrecy {
		if err := a.heard(w, sender, now); err != nil {
			return err
		}
	}
	if a.contact.FirstSeen == 0 || forwardSecrecy && !a.contact.ForwardSecrecy {
		a.contact.FirstSeen = max(a.contact.FirstSeen, now)
		a.contact.ForwardSecrecy = a.contact.ForwardSecrecy || forwardSecrecy
		if err := w.putContact(a); err != nil {
			return err
		}
	}
	if len(result.Payload) == 0 {
		return nil // only carried keys
	}
	received := MessageReceived{
		ID:             newMessageID(a.config.Peer, m.Message),
		Sender:         a.config.Peer,
		Installation:   sender,
		Payload:        result.Payload,
		Received:       now,
		ForwardSecrecy: forwardSecrecy,
	}
	value, err := received.record()
	if err != nil {
		return fmt.Errorf("deviceactor: encode inbox: %w", err)
	}
	w.records = append(w.records, persistence.Record{
		Name:  InboxName(a.config.Owner, a.config.Peer, received.ID),
		Value: value,
	})
	w.events = append(w.events, received)
	return nil
}

// heard notes an authenticated message of an installation.
func (a *Actor) heard(w *work, sender string, now int64) error {
	contact, taken := a.contact.Heard(sender, !a.own(), now)
	a.contact = contact
	return w.take(a, taken)
}

// accept merges a verified bundle of the contact.
func (a *Actor) accept(w *work, b *wire.Bundle, sender string) error {
	now := a.config.Now()
	contact, taken := a.contact.TakeBundle(b, sender, a.ownInstallation(), !a.own(), now)
	a.contact = contact
	if err := w.take(a, taken); err != nil {
		return err
	}
	if a.contact.FirstSeen == 0 {
		a.contact.FirstSeen = now
		return w.putContact(a)
	}
	return nil
}

// verifiedBundles remembers the last bundles that were found good: most
// messages carry one that has been seen before.
type verifiedBundles struct {
	hashes [4][sha256.Size]byte
	next   int
}

// verify checks a bundle of the contact, once.
func (a *Actor) verify(b *wire.Bundle) error {
	if x3dh.IdentityPublicKey(b.Identity) != a.config.Peer {
		return x3dh.ErrBundleIdentity
	}
	hash := sha256.Sum256(wire.EncodeBundle(*b))
	if slices.Contains(a.verified.hashes[:], hash) {
		return nil
	}
	if err := x3dh.CheckBundle(b, a.config.Now()); err != nil {
		return err
	}
	a.verified.hashes[a.verified.next] = hash
	a.verified.next = (a.verified.next + 1) % len(a.verified.hashes)
	return nil
}
