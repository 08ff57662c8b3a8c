package deviceactor

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// The causes the contact refuses a message for, beside those of its sessions.
var (
	// ErrNotTargeted: the message has entries, none of them for this
	// installation: its sender does not know us yet.
	ErrNotTargeted = errors.New("deviceactor: message is not for this installation")
	// ErrUnsupported: a group message of the hash ratchet, an unencrypted one
	// outside of a public chat, or an encrypted one in it.
	ErrUnsupported = errors.New("deviceactor: kind of message is not supported")
	// ErrNotApproved: an installation of our own identity that the user has not
	// approved says what we have written. The message was read, since that is how
	// the installation becomes known, and its payload dropped.
	ErrNotApproved = errors.New("deviceactor: own installation is not approved")
	// ErrOwnEcho: a message of this very installation came back.
	ErrOwnEcho = errors.New("deviceactor: own message")
)

// ErrDowngrade: a contact that has sessions with us sent a message outside of
// them, without forward secrecy (T40). Cause of an Alarm.
var ErrDowngrade = errors.New("deviceactor: message without forward secrecy")

// kind is which of its shapes a message has.
type kind uint8

const (
	empty    kind = iota // only carries bundles
	public               // not encrypted
	dhOnly               // outside of any session
	ratchets             // in a session
)

// Reading is a received message that the contact's rules have let in. What it
// says is not authenticated yet beyond its sender's identity.
type Reading struct {
	Message *wire.Message // without a bundle that is not to be believed
	Chat    string        // the public chat it was published in, or ""
	part    *wire.Part    // the one for us; nil of a public or empty message
	kind    kind
	claimed x3dh.PreKeyPublic // the sender's, in a bundle that is not believed
}

// Read decides what a message calls for, or refuses it. verify checks a bundle
// of the contact. Nothing has changed yet.
func (c *Contact) Read(v View, m *wire.Message, chat string, verify func(*wire.Bundle) error) (Reading, error) {
	if c.own(v) && m.InstallationID == v.Installation {
		return Reading{}, ErrOwnEcho
	}
	if err := c.lets(v, chat); err != nil {
		return Reading{}, err
	}
	var claimed x3dh.PreKeyPublic
	if b := c.bundleOf(m); b != nil {
		err := verify(b)
		if err != nil && (len(m.Entries) == 0 && !m.HasPublic || errors.Is(err, x3dh.ErrBundleSignature)) {
			return Reading{}, err
		}
		if err != nil {
			// Not to be believed, which is no reason not to read the message.
			claimed = EntryOf(b, m.InstallationID).PreKey
			m = withoutBundles(m)
		}
	}
	part := partFor(m, v.Installation)
	r := Reading{Message: m, Chat: chat, part: part, claimed: claimed}
	switch {
	case m.HasPublic != (chat != "") || m.HasPublic && len(m.Entries) > 0 || part != nil && part.HashRatchet:
		return Reading{}, ErrUnsupported
	case m.HasPublic:
		r.kind = public
	case part == nil && len(m.Entries) > 0:
		return Reading{}, ErrNotTargeted
	case part == nil:
		r.kind = empty
	case part.DH != nil && part.DR == nil:
		r.kind = dhOnly
	default:
		r.kind = ratchets
	}
	return r, nil
}

// lets tells whether the contact's messages are read, in a public chat or, if that is
// "", outside of one.
func (c *Contact) lets(v View, chat string) error {
	if err := c.open(); err != nil {
		return err
	}
	if chat == "" && !c.admits(v) {
		return ErrDenied
	}
	return nil
}

func withoutBundles(m *wire.Message) *wire.Message {
	stripped := *m
	stripped.Bundles = nil
	return &stripped
}

// partFor is the part of the message for an installation, nil if there is none.
func partFor(m *wire.Message, installation string) *wire.Part {
	for _, recipient := range []string{installation, wire.NoInstallation} {
		for i := range m.Entries {
			if m.Entries[i].Recipient == recipient {
				return &m.Entries[i].Part
			}
		}
	}
	return nil
}

// bundleOf is the bundle of the message that is the contact's own. Those of
// others are not taken from it.
func (c *Contact) bundleOf(m *wire.Message) *wire.Bundle {
	for i := range m.Bundles {
		if x3dh.IdentityPublicKey(m.Bundles[i].Identity) == c.Identity {
			return &m.Bundles[i]
		}
	}
	return nil
}

// InSession tells whether the message has to be decrypted by a session before
// it can be received.
func (r *Reading) InSession() bool { return r.kind == ratchets }

// PreKey is the signed prekey of ours that an initial message names.
func (r *Reading) PreKey() (x3dh.PreKeyPublic, bool) {
	if r.kind != ratchets || r.part.X3DH == nil {
		return x3dh.PreKeyPublic{}, false
	}
	return x3dh.PreKeyPublic(r.part.X3DH.SignedPreKey), true
}

// Incoming is what the session of the sender's installation has to know to
// decrypt the message. prekey is ours that it names, nil if it is gone.
func (c *Contact) Incoming(v View, r Reading, prekey *sessionactor.OwnPreKey, now int64) (sessionactor.Incoming, error) {
	sender := r.Message.InstallationID
	if sender == "" {
		return sessionactor.Incoming{}, fmt.Errorf("%w: no sender's installation id", sessionactor.ErrHeader)
	}
	known, ok := c.Find(sender)
	switch {
	case !ok && len(c.Installations) >= maxInstallations:
		return sessionactor.Incoming{}, ErrTooManyInstallations
	case !ok && r.part.X3DH == nil:
		// Nobody has a session with it, so no actor is needed to say so.
		return sessionactor.Incoming{}, sessionactor.ErrNoSession
	case !ok && prekey == nil:
		return sessionactor.Incoming{}, sessionactor.ErrUnknownPreKey
	}
	in := sessionactor.Incoming{Part: r.part, PreKey: prekey, Entry: known.Entry, Heard: known.Signed, Claimed: r.claimed}
	if b := c.bundleOf(r.Message); b != nil {
		in.Sent = EntryOf(b, sender)
		next, _ := c.TakeBundle(v, b, sender, now)
		if fresh, ok := next.Find(sender); ok {
			in.Entry = fresh.Entry
		}
	}
	return in, nil
}

// Open decrypts a message that no session is needed for.
func (r *Reading) Open(own *x3dh.IdentityKey) ([]byte, error) {
	switch r.kind {
	case public:
		return r.Message.Public, nil
	case dhOnly:
		return x3dh.OpenDHOnly(own, x3dh.EphemeralPublic(r.part.DH.Ephemeral), r.part.Payload)
	case empty, ratchets:
	}
	return nil, nil
}

// Refused are the events of a message that was refused; it changes nothing.
func (c *Contact) Refused(m *wire.Message, cause error) []Event {
	if errors.Is(cause, ErrOwnEcho) {
		return nil // everybody who listens to a topic hears himself
	}
	events := []Event{MessageRefused{Sender: c.Identity, Installation: m.InstallationID, Err: cause}}
	if errors.Is(cause, sessionactor.ErrCloned) {
		events = append(events, Alarm{c.Identity, m.InstallationID, cause})
	}
	return events
}

// Receive is the step of an authentic message with its payload: it changes what
// is known of the contact, and makes the event of the message.
func (c Contact) Receive(v View, r Reading, payload []byte, now int64) (Contact, Effects, error) {
	var e Effects
	if err := c.open(); err != nil {
		return c, e, err // it was blocked meanwhile
	}
	before := c
	sender := r.Message.InstallationID
	if r.kind == public && !c.admits(v) {
		e.report(c.received(v, r, payload, now)) // and nothing is kept of its sender
		return c, e, nil
	}
	if r.kind == dhOnly {
		// The parity of the ephemeral key is not authenticated.
		hash := sha256.Sum256(append(r.part.DH.Ephemeral[1:], r.part.Payload...))
		next, err := c.remember(hash)
		if err != nil {
			return before, Effects{}, err
		}
		c, e.Contact = next, true
	}
	if b := c.bundleOf(r.Message); b != nil {
		next, taken := c.TakeBundle(v, b, sender, now)
		c = next
		e.add(taken)
	}
	if _, known := c.Find(sender); r.InSession() || known && r.kind == dhOnly {
		next, heard := c.heard(v, sender, now)
		c = next
		e.add(heard)
	}
	if len(payload) > 0 && r.kind != public {
		c = c.introduce(v)
	}
	if c.FirstSeen == 0 {
		c.FirstSeen = now
	}
	if r.InSession() && !c.ForwardSecrecy {
		c.ForwardSecrecy = true
		e.report(ForwardSecrecyEstablished{c.Identity})
	}
	e.Contact = e.Contact || c.FirstSeen != before.FirstSeen || c.Standing != before.Standing || c.ForwardSecrecy != before.ForwardSecrecy
	if len(payload) == 0 {
		return c, e, nil // only carried keys
	}
	if r.kind == dhOnly && c.ForwardSecrecy {
		e.report(Alarm{c.Identity, sender, ErrDowngrade})
	}
	// A copy says what we have written to whom: only to be believed of a device
	// that the user has approved.
	in, _ := c.Find(sender)
	if _, copied := DecodeCopy(payload); copied && c.own(v) && !(in.Enabled && r.InSession()) {
		e.report(MessageRefused{Sender: c.Identity, Installation: sender, Err: ErrNotApproved})
		return c, e, nil
	}
	e.report(c.received(v, r, payload, now))
	return c, e, nil
}

// received is the event of a message.
func (c *Contact) received(v View, r Reading, payload []byte, now int64) MessageReceived {
	m := MessageReceived{
		ID:             newMessageID(c.Identity, r.Message, r.Chat),
		Sender:         c.Identity,
		Recipient:      v.Own,
		Installation:   r.Message.InstallationID,
		Payload:        payload,
		Received:       now,
		ForwardSecrecy: r.InSession(),
		Request:        c.Standing == Requested && r.kind != public,
		Chat:           r.Chat,
	}
	if r.kind == public {
		m.Recipient = x3dh.IdentityPublicKey{}
	}
	if original, ok := DecodeCopy(payload); ok && c.own(v) {
		m.Recipient, m.Payload = original.Recipient, original.Payload
		if original.ID != (MessageID{}) {
			m.ID = original.ID
		}
	}
	return m
}
