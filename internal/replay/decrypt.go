package replay

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// decrypt replays the arrival of a message.
func (d *driver) decrypt(n *installed, s *step, rep *Step, f *feed) error {
	from, err := identityOf(s, "from", s.From)
	if err != nil {
		return err
	}
	before := n.hash()
	m, err := wire.Decode(s.Message)
	if err != nil {
		rep.refused = true
		rep.compareDecodeError(&s.Expect, err, false)
		rep.value("state unchanged", n.hash() == before, "a refused message changed the state")
		return nil
	}
	apart := n.ref.apart[lastIdentity(m, from)]
	got, err := n.receive(m, from, s.Clock, n.ref.begun)
	foretold := n.ref.process(n.node, m, from, s, got, err)
	if foretold.unsupported {
		rep.refused = true
		rep.outside(NotSupported, "message", "group hash ratchet, outside the specifications")
		rep.value("state unchanged", n.hash() == before, "a refused message changed the state")
		return nil
	}
	ratchetKey, keyErr := f.key(purposeRatchet, "")
	if made := keyErr == nil; made != foretold.turned {
		rep.differs(KindValue, "generated_keys", "ratchet key recorded: %t, expected: %t", made, foretold.turned)
	}
	rep.modelWrong = s.Expect.OK != (foretold.refusals == nil)
	why := explain(from, got, err, foretold)
	if foretold.result != nil && (err != nil || got.result == nil || got.result.session != foretold.row) {
		foretold.result.commit(ratchetKey, n.limits)
	}
	var added []device
	if err == nil {
		rep.plaintext = got.plaintext
		added = n.take(got, m, from, ratchetKey)
		if got.speaks && !foretold.secret {
			n.ref.part(from, why)
		}
	} else {
		rep.refused = true
		rep.value("state unchanged", n.hash() == before, "a refused message changed the state")
	}
	rep.compareDecrypt(&s.Expect, got, err, foretold, why)
	if s.Expect.OK {
		speaks := foretold.secret
		if err == nil {
			speaks = got.speaks
		}
		if why == highS {
			// Its bundle is news to the reference only.
			apart = firstCause(apart, why)
		}
		rep.compareGained(n.node, &s.Expect, from, m, added, speaks, foretold, apart)
	}
	return nil
}

// explain names the deviation because of which our node and the reference judge
// a message differently, nil if there is none.
func explain(from x3dh.IdentityPublicKey, got *received, err error, f *foreseen) *cause {
	switch {
	case err == nil && f.refusals != nil && f.row != nil && got.result != nil:
		row, ours := f.row, got.result.session
		switch {
		case row != ours && row.peer.identity != from:
			return &cause{devSessionIdentity, -1, "the reference used the session of another identity with the same installation id"}
		case row != ours && row.trace.origin != nil:
			return row.trace.origin
		case row != ours:
			return &cause{devSessionIdentity, -1, "the reference used an older session with the same prekey and installation id"}
		}
		if _, kept := row.trace.kept[got.result.ref]; !kept && len(got.result.effects.Remove) > 0 && !got.result.turned {
			return &cause{devSkippedLimits, -1, "the reference had deleted the message key over its limits"}
		}
	case f.refusals == nil && errors.Is(err, x3dh.ErrBundleSignature):
		// A bundle that the reference's verification takes and ours does not.
		return highS
	case err != nil && f.refusals == nil && f.again:
		return &cause{devReplay, -1, "its message key was used before"}
	case err != nil && f.refusals == nil && f.row != nil && f.row.trace.origin != nil:
		return f.row.trace.origin
	case err != nil && f.refusals != nil && f.refusals[len(f.refusals)-1].kind == kindPanic:
		return &cause{devTypedRefusal, -1, "ours: " + err.Error()}
	case err != nil && errors.Is(err, ratchet.ErrCiphertext):
		return &cause{devTypedRefusal, -1, "ours: " + err.Error()}
	}
	return nil
}

// compareDecrypt compares the outcome of an arrival: ours, else the one that the
// model foretells, if there is a reason for which ours is another.
func (s *Step) compareDecrypt(e *expect, got *received, err error, f *foreseen, why *cause) {
	switch {
	case err == nil && e.OK:
		if !bytes.Equal(got.plaintext, e.Plaintext) {
			s.differs(KindPlaintext, "plaintext", "ours has %d bytes, recorded are %d", len(got.plaintext), len(e.Plaintext))
			break
		}
		s.equal(KindPlaintext, "plaintext")
	case err != nil && !e.OK && equivalent(err, e.ErrorKind) && anyMatches(f.refusals, e):
		s.equal(KindRefusal, "error")
	case why != nil && e.OK && f.refusals == nil && bytes.Equal(f.plaintext, e.Plaintext):
		s.explained(KindPlaintext, "ok", *why)
	case why != nil && !e.OK && anyMatches(f.refusals, e):
		s.explained(KindRefusal, "error", *why)
	case err == nil:
		s.differs(KindPlaintext, "ok", "we decrypt; recorded %s %q", e.ErrorKind, e.Error)
	case e.OK:
		s.differs(KindPlaintext, "ok", "recorded as accepted; ours: %v", err)
	default:
		s.differs(KindRefusal, "error", "recorded %s %q; ours: %v", e.ErrorKind, e.Error, err)
	}
}

// compareGained checks what else an accepted message gives: new installations
// and the secret of the negotiated topic.
func (s *Step) compareGained(n *node, e *expect, from x3dh.IdentityPublicKey, m *wire.Message, added []device, speaks bool, f *foreseen, apart *cause) {
	identity := lastIdentity(m, from)
	s.compareNew(e, identity, added, f.added, apart)
	var secret []identitySecret
	if speaks {
		shared, err := n.identity.SharedSecret(from)
		full, fullErr := from.Uncompressed()
		if err != nil || fullErr != nil {
			s.differs(KindValue, "shared_secrets", "identity of the sender: %v", err)
			return
		}
		secret = []identitySecret{{Identity: full[:], Key: shared[:]}}
	}
	same := slices.EqualFunc(secret, e.SharedSecrets, func(a, b identitySecret) bool {
		return bytes.Equal(a.Identity, b.Identity) && bytes.Equal(a.Key, b.Key)
	})
	s.value("shared_secrets", same, "ours has %d, recorded are %d", len(secret), len(e.SharedSecrets))
}

// lastIdentity is whose new installations a message reports: those of the last
// bundle.
func lastIdentity(m *wire.Message, from x3dh.IdentityPublicKey) x3dh.IdentityPublicKey {
	if len(m.Bundles) == 0 {
		return from
	}
	return x3dh.IdentityPublicKey(m.Bundles[len(m.Bundles)-1].Identity)
}

// compareNew checks the list of new installations against ours, then against
// the model's.
func (s *Step) compareNew(e *expect, identity x3dh.IdentityPublicKey, ours, foretold []device, why *cause) {
	recorded := slices.Clone(e.NewInstallations)
	slices.SortFunc(recorded, func(a, b listed) int { return strings.Compare(a.ID, b.ID) })
	switch {
	case sameNew(recorded, identity, ours):
		s.equal(KindValue, "new_installations")
	case why != nil && sameNew(recorded, identity, foretold):
		s.explained(KindValue, "new_installations", *why)
	default:
		s.differs(KindValue, "new_installations", "ours has %d, recorded are %d", len(ours), len(recorded))
	}
}

func sameNew(recorded []listed, identity x3dh.IdentityPublicKey, added []device) bool {
	full, err := identity.Uncompressed()
	if err != nil {
		return false
	}
	name := "0x" + hexString(full[:])
	return slices.EqualFunc(recorded, added, func(a listed, b device) bool {
		return a.Identity == name && a.ID == b.id && a.Version == b.version
	})
}
