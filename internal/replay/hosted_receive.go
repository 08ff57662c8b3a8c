package replay

import (
	"bytes"
	"context"
	"errors"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// decrypt lets a recorded message arrive.
func (h *hosted) decrypt(s *step, first, rep *Step) {
	ctx := context.Background()
	from, err := x3dh.ParseIdentity(s.From)
	m, decodeErr := wire.Decode(s.Message)
	if err != nil || decodeErr != nil {
		m = &wire.Message{}
	}
	before, err := h.run.Sessions(ctx, from, m.InstallationID)
	if err != nil {
		rep.differs(KindValue, "sessions", "%v", err)
		return
	}
	err = h.run.Receive(ctx, transport.Envelope{
		Topic:   transport.PersonalTopic(h.identity.Public()),
		Sender:  from,
		Payload: s.Message,
	}, s.Clock)
	for _, e := range h.events {
		if received, ok := e.(deviceactor.MessageReceived); ok {
			rep.plaintext = received.Payload
			h.inbox[s.MessageID] = received
		}
	}
	rep.refused = err != nil
	if err != nil {
		h.miss(m, from)
	} else {
		h.turn(&before, from, m.InstallationID, s)
	}
	e := &s.Expect
	switch {
	case first.Status == NotSupported:
		rep.outside(NotSupported, "message", "group hash ratchet, outside the specifications")
	case decodeErr != nil:
		// The decoder is the same in both passes.
		rep.compareDecodeError(e, decodeErr, false)
	case err == nil && e.OK && bytes.Equal(rep.plaintext, e.Plaintext):
		rep.equal(KindPlaintext, "plaintext")
	case err != nil && !e.OK && equivalent(err, e.ErrorKind):
		rep.equal(KindRefusal, "error")
	case first.refused == rep.refused && bytes.Equal(first.plaintext, rep.plaintext) && rep.like(first, KindPlaintext, "ok", "error"):
	case err == nil && e.ErrorKind == kindNoPayload && len(m.Entries) == 0 && !m.HasPublic:
		rep.explained(KindRefusal, "error", cause{ruleEmptyMessage, -1, "only bundles"})
	case errors.Is(err, deviceactor.ErrUnsupported) && m.HasPublic:
		rep.explained(KindPlaintext, "ok", cause{rulePublicChat, -1, err.Error()})
	case err != nil:
		rep.ruled(KindPlaintext, "ok", err)
	default:
		rep.differs(KindPlaintext, "ok", "recorded ok %t %s %q; ours has %d bytes", e.OK, e.ErrorKind, e.Error, len(rep.plaintext))
	}
}

// miss keeps what can be of use of a message that we refused.
func (h *hosted) miss(m *wire.Message, from x3dh.IdentityPublicKey) {
	h.missed = append(h.missed, m.Bundles...)
	part, err := h.part(m, from)
	if err != nil || part == nil || part.X3DH == nil {
		return
	}
	key := initialKey{peer{from, m.InstallationID}, part.X3DH.SignedPreKey}
	if _, known := h.initial[key]; !known {
		h.initial[key] = part.X3DH.Ephemeral
	}
}

// turn remembers the ratchet key that the reference made when it turned a
// ratchet; ours is made when it is needed.
func (h *hosted) turn(before *sessionactor.Sessions, from x3dh.IdentityPublicKey, sender string, s *step) {
	after, err := h.run.Sessions(context.Background(), from, sender)
	if err != nil {
		return
	}
	for i := range after.List {
		session := after.List[i]
		old := indexOf(before, session.ID)
		if old >= 0 && before.List[old].Ratchet.Remote == session.Ratchet.Remote {
			continue
		}
		delete(h.made, session.ID)
		for _, k := range s.Expect.GeneratedKeys {
			if k.Purpose == purposeRatchet {
				h.made[session.ID] = k
			}
		}
	}
}

func indexOf(s *sessionactor.Sessions, id sessionactor.ID) int {
	for i := range s.List {
		if s.List[i].ID == id {
			return i
		}
	}
	return -1
}

// processBundle lets a bundle arrive by itself.
func (h *hosted) processBundle(s *step, first, rep *Step) {
	var identity x3dh.IdentityPublicKey
	b, decodeErr := wire.DecodeBundle(s.Bundle)
	if decodeErr == nil {
		identity = x3dh.IdentityPublicKey(b.Identity)
	}
	err := h.run.TakeBundle(context.Background(), identity, s.Bundle, s.Clock)
	e := &s.Expect
	rep.refused = err != nil
	switch {
	case decodeErr != nil:
		rep.compareDecodeError(e, decodeErr, true)
	case err == nil && e.OK:
		rep.equal(KindValue, "ok")
	case err != nil && !e.OK && equivalent(err, e.ErrorKind):
		rep.equal(KindRefusal, "error")
	case first.refused == rep.refused && rep.like(first, KindRefusal, "ok", "error"):
	default:
		rep.differs(KindRefusal, "ok", "recorded ok %t %s %q; ours: %v", e.OK, e.ErrorKind, e.Error, err)
	}
}

// lookUp takes the newest bundle of a message that we refused: our engine looks
// bundles up before it sends, and it is valid. It tells whether there was one
// that names the installation.
func (h *hosted) lookUp(rep *Step, identity x3dh.IdentityPublicKey, installation string, now int64) bool {
	for i := len(h.missed) - 1; i >= 0; i-- {
		b := &h.missed[i]
		if x3dh.IdentityPublicKey(b.Identity) != identity || !names(b, installation) {
			continue
		}
		if h.run.TakeBundle(context.Background(), identity, wire.EncodeBundle(*b), now) == nil {
			rep.explained(KindValue, "bundle", cause{devBundleKept, -1, "the bundle came in a message that we refused"})
			return true
		}
	}
	return false
}

func names(b *wire.Bundle, installation string) bool {
	for i := range b.PreKeys {
		if b.PreKeys[i].InstallationID == installation {
			return true
		}
	}
	return false
}
