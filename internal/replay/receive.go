package replay

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// Causes for which a message is refused that the packages below do not know.
var (
	errDeviceNotFound  = errors.New("replay: message is not for this installation")
	errNotPaired       = errors.New("replay: message of our own identity is not for this installation")
	errNoPayload       = errors.New("replay: message without payload")
	errNoHeader        = errors.New("replay: message without a header")
	errSessionNotFound = errors.New("replay: no session and no prekey for this message")
	errHashRatchet     = errors.New("replay: hash ratchet message")
)

// maxTrials bounds how many sessions a message is tried on.
const maxTrials = 8

// received is what a message would do to a node; nothing has been changed yet.
type received struct {
	plaintext []byte
	// result is the attempt that decrypted, nil for public, DH-only and own
	// messages.
	result *result
	// bundles are verified.
	bundles []*wire.Bundle
	// speaks is set when the message was encrypted by an installation that takes
	// part in the topic negotiation.
	speaks bool
}

// receive judges a message by our rules. start gives a session that the
// reference has made already for the same agreement, nil if none.
func (n *node) receive(m *wire.Message, from x3dh.IdentityPublicKey, now int64, start func(sessionID) *session) (*received, error) {
	r := &received{}
	for i := range m.Bundles {
		b := &m.Bundles[i]
		switch err := x3dh.CheckBundle(b, now); {
		case err == nil:
			r.bundles = append(r.bundles, b)
		case x3dh.VerifySignature(b) != nil:
			return nil, err
		}
		// A bundle with a good signature that we do not believe all the same says
		// nothing against the message beside it.
	}
	if m.HasPublic {
		r.plaintext = m.Public
		return r, nil
	}
	if len(m.Entries) == 0 {
		return nil, errNoPayload
	}
	r.speaks = messageVersion(m) >= protocolVersion
	part, err := n.part(m, from)
	if err != nil || part == nil {
		return r, err
	}
	switch p := (peer{from, m.InstallationID}); {
	case part.X3DH != nil && n.prekey(part.X3DH.SignedPreKey) == nil:
		err = errSessionNotFound
	case part.DR != nil:
		r.result, err = n.openRatchet(part, p, start)
		if err == nil {
			r.plaintext = r.result.plaintext
		}
	case part.DH != nil:
		r.plaintext, err = x3dh.OpenDHOnly(&n.identity, x3dh.EphemeralPublic(part.DH.Ephemeral), part.Payload)
	case part.HashRatchet:
		err = errHashRatchet
	default:
		err = errNoHeader
	}
	return r, err
}

// part finds the entry that is for us; nil without error for an own message
// that comes back.
func (n *node) part(m *wire.Message, from x3dh.IdentityPublicKey) (*wire.Part, error) {
	for _, recipient := range []string{n.installation, wire.NoInstallation} {
		for i := range m.Entries {
			if m.Entries[i].Recipient == recipient {
				return &m.Entries[i].Part, nil
			}
		}
	}
	switch {
	case from != n.identity.Public():
		return nil, errDeviceNotFound
	case m.InstallationID != n.installation:
		return nil, errNotPaired
	}
	return nil, nil
}

// messageVersion is the protocol version that the first bundle gives the
// sending installation, 0 without one.
func messageVersion(m *wire.Message) uint32 {
	if len(m.Bundles) == 0 {
		return 0
	}
	for _, k := range m.Bundles[0].PreKeys {
		if k.InstallationID == m.InstallationID {
			return k.ProtocolVersion
		}
	}
	return 0
}

func ratchetMessage(part *wire.Part) (ratchet.Message, error) {
	key, err := ratchet.NewPublicKey(part.DR.RatchetKey)
	if err != nil {
		return ratchet.Message{}, err
	}
	return ratchet.Message{
		Header:     ratchet.Header{Key: key, N: part.DR.N, PN: part.DR.PN},
		Ciphertext: part.Payload,
	}, nil
}

// openRatchet finds the session of a message and decrypts on a copy. An initial
// message of an agreement we do not know starts a session.
func (n *node) openRatchet(part *wire.Part, p peer, start func(sessionID) *session) (*result, error) {
	m, err := ratchetMessage(part)
	if err != nil {
		return nil, err
	}
	var sessions []*session
	if h := part.X3DH; h != nil {
		initial, err := n.initial(h, p, start)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, initial)
	}
	ref := ratchet.KeyRef{Ratchet: m.Header.Key, N: m.Header.N}
	for _, s := range n.candidates(p, part.DR.SignedPreKey, ref) {
		if len(sessions) == 0 || sessions[0] != s {
			sessions = append(sessions, s)
		}
	}
	if len(sessions) == 0 {
		return nil, errSessionNotFound
	}
	var first error
	for _, s := range sessions[:min(len(sessions), maxTrials)] {
		r, err := s.open(m, nil, n.limits)
		if err == nil {
			return r, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// initial finds or starts the session that an X3DH header names.
func (n *node) initial(h *wire.X3DHHeader, p peer, start func(sessionID) *session) (*session, error) {
	own := n.prekey(h.SignedPreKey)
	if own == nil {
		return nil, errSessionNotFound
	}
	fresh, err := newResponder(n, p, own, h.Ephemeral)
	if err != nil {
		return nil, fmt.Errorf("initial message: %w", err)
	}
	if known := n.sessions[fresh.id]; known != nil {
		return known, nil
	}
	if begun := start(fresh.id); begun != nil {
		return begun, nil
	}
	return fresh, nil
}

// take makes an accepted message part of the node's state and lists the
// installations that are new. ratchetKey is the key the reference made on
// turning its ratchet.
func (n *node) take(r *received, m *wire.Message, from x3dh.IdentityPublicKey, ratchetKey hexBytes) []device {
	var added []device
	for _, b := range r.bundles {
		added = n.accept(b)
	}
	if r.result != nil {
		s := r.result.session
		s.trace.origin = nil
		n.sessions[s.id] = s
		r.result.commit(ratchetKey, n.limits)
	}
	if r.speaks {
		n.secrets.add(from, m.InstallationID)
	}
	return added
}
