package replay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// publish gives the bundle of our own for this step: a new prekey is taken
// into use when it is due, with the recorded key. recorded is the bundle in
// the recording; where ours is not the same, the bundle that the model of the
// reference makes is given instead, with the cause.
func (n *installed) publish(s *step, f *feed, recorded *wire.Bundle) (wire.Bundle, *cause, error) {
	scalar, err := f.key(purposePreKey, "")
	due := n.rotationDue(s.Clock)
	switch {
	case err == nil:
		if !due && n.ref.ownPublished(n.node) {
			return wire.Bundle{}, nil, errors.New("a new signed prekey is recorded but not due")
		}
		if err := n.rotate(scalar, s.Clock); err != nil {
			return wire.Bundle{}, nil, err
		}
		n.ref.rotate(n.node)
	case due:
		return wire.Bundle{}, nil, err
	}
	ours, err := n.ownBundle(s.Clock)
	if err != nil || recorded == nil || bytes.Equal(wire.EncodeBundle(ours), wire.EncodeBundle(*recorded)) {
		return ours, nil, err
	}
	theirs, why := n.ref.ownBundle(n.node, s.Clock, recorded)
	if why == nil {
		return ours, nil, nil
	}
	return theirs, why, x3dh.SignBundle(&n.identity, &theirs)
}

// ownPublished tells whether the prekey we use is in force in the reference.
func (r *reference) ownPublished(n *node) bool {
	row := r.prekeys[wire.PublicKey(n.prekeys[len(n.prekeys)-1].key.Public())]
	return row != nil && row.expired == nil
}

// ownBundle gives the bundle that the reference may publish in our place: every
// entry of the recorded one has to be a row in force. nil if it may not.
func (r *reference) ownBundle(n *node, now int64, recorded *wire.Bundle) (wire.Bundle, *cause) {
	b := wire.Bundle{Timestamp: now}
	var why *cause
	own := n.identity.Public()
	expected := []string{n.installation}
	for _, d := range r.devices.active(own, maxInstallations-1) {
		if len(r.published(peer{own, d.id})) > 0 {
			expected = append(expected, d.id)
		}
	}
	slices.Sort(expected)
	for _, k := range recorded.PreKeys {
		owner := peer{own, k.InstallationID}
		row := r.prekeys[k.Key]
		if row == nil || row.owner != owner || row.expired != nil || row.version != k.Version {
			return b, nil
		}
		version := uint32(protocolVersion)
		if k.InstallationID != n.installation {
			version = r.devices[own][k.InstallationID].version
		}
		b.PreKeys = append(b.PreKeys, wire.SignedPreKey{
			InstallationID: k.InstallationID, Key: k.Key, Version: k.Version, ProtocolVersion: version,
		})
		why = firstCause(why, r.whyOwn(n, owner, k, row))
	}
	names := make([]string, len(b.PreKeys))
	for i := range b.PreKeys {
		names[i] = b.PreKeys[i].InstallationID
	}
	if !slices.Equal(names, expected) {
		return b, nil
	}
	return b, firstCause(why, r.apart[own])
}

// whyOwn says why an entry of the reference's own bundle is not ours.
func (r *reference) whyOwn(n *node, owner peer, k wire.SignedPreKey, row *storedPreKey) *cause {
	if row.foreign != nil {
		return row.foreign
	}
	if owner.installation == n.installation {
		for _, p := range n.prekeys {
			if wire.PublicKey(p.key.Public()) == k.Key && p.version != k.Version {
				return &cause{devOwnBundle, -1, "the version of the own bundle counts on from a foreign one"}
			}
		}
		return nil
	}
	if newest, _, known := n.newest(owner); known && newest != k.Key {
		return &cause{devNewestBundle, -1, "an older bundle of another own device is published"}
	}
	return nil
}

// bundle replays the making of our own bundle.
func (d *driver) bundle(n *installed, s *step, rep *Step, f *feed) {
	recorded, err := wire.DecodeBundle(s.Expect.Bundle)
	if err != nil || !s.Expect.OK {
		rep.differs(KindWire, "bundle", "recorded bundle: ok %t, %v", s.Expect.OK, err)
		return
	}
	b, why, err := n.publish(s, f, &recorded)
	switch {
	case err != nil:
		rep.differs(KindWire, "bundle", "ours: %v", err)
	case !bytes.Equal(wire.EncodeBundle(b), s.Expect.Bundle):
		rep.differs(KindWire, "bundle", "%s", bundleDifference(&b, &recorded))
	case why != nil:
		rep.explained(KindWire, "bundle", *why)
	default:
		rep.equal(KindWire, "bundle")
	}
	rep.value("parsed", sameBundle(s.Expect.Parsed, &recorded), "the recorded reading is not that of the recorded bytes")
}

func bundleDifference(ours, recorded *wire.Bundle) string {
	text := "ours has"
	for _, b := range []*wire.Bundle{ours, recorded} {
		for _, k := range b.PreKeys {
			text += fmt.Sprintf(" %.8s.. %x.. v%d", k.InstallationID, k.Key[:4], k.Version)
		}
		if b == ours {
			text += "; recorded is"
		}
	}
	return text
}

// processBundle replays the arrival of a bundle outside a message.
func (d *driver) processBundle(n *installed, s *step, rep *Step) {
	e := &s.Expect
	before := n.hash()
	b, err := wire.DecodeBundle(s.Bundle)
	if err != nil {
		rep.refused = true
		rep.compareDecodeError(e, err, true)
		d.storeMalformed(n, s, rep, err)
		rep.value("state unchanged", n.hash() == before, "a refused bundle changed the state")
		return
	}
	err = x3dh.CheckBundle(&b, s.Clock)
	var foreign *cause
	if err != nil {
		rep.refused = true
		foreign = refusedBundle(&b, s)
	}
	n.ref.store(&b, n.node, foreign)
	refusals := signatureRefusals(&b)
	var foretold, added []device
	identity := x3dh.IdentityPublicKey(b.Identity)
	apart := n.ref.apart[identity]
	if refusals == nil {
		foretold = n.ref.devices.apply(&b, n.node)
		if foreign != nil {
			n.ref.part(identity, foreign)
		}
	}
	if err == nil {
		added = n.accept(&b)
	} else {
		rep.value("state unchanged", n.hash() == before, "a refused bundle changed the state")
	}
	switch {
	case err == nil && e.OK:
		rep.equal(KindValue, "ok")
	case err != nil && !e.OK && anyMatches(refusals, e):
		rep.equal(KindRefusal, "error")
	case err != nil && e.OK && refusals == nil:
		rep.explained(KindRefusal, "ok", cause{foreign.id, -1, err.Error()})
	default:
		rep.differs(KindRefusal, "error", "recorded ok %t %s %q; ours: %v", e.OK, e.ErrorKind, e.Error, err)
	}
	if e.OK {
		rep.compareNew(&s.Expect, identity, added, foretold, firstCause(apart, foreign))
	}
}

// storeMalformed lets the model store a bundle that only the reference accepts:
// one with a prekey that is no key.
func (d *driver) storeMalformed(n *installed, s *step, rep *Step, err error) {
	if !s.Expect.OK {
		return
	}
	b := looseBundle(s.Bundle)
	why := &cause{devStrictDecoding, s.I, "a bundle with an impossible prekey was stored: " + err.Error()}
	n.ref.unusable = firstCause(n.ref.unusable, why)
	identity := x3dh.IdentityPublicKey(b.Identity)
	n.ref.part(identity, why)
	rep.compareNew(&s.Expect, identity, nil, n.ref.devices.apply(&b, n.node), why)
}

// publicBundle compares what is known of an identity's bundle.
func (d *driver) publicBundle(n *installed, s *step, rep *Step) error {
	identity, err := identityOf(s, "identity", s.Identity)
	if err != nil {
		return err
	}
	p := s.Expect.Parsed
	if p == nil || !s.Expect.OK {
		rep.differs(KindValue, "parsed", "recorded ok %t, bundle missing: %t", s.Expect.OK, p == nil)
		return nil
	}
	rep.value("parsed.identity", bytes.Equal(p.Identity, identity[:]), "not the one asked for")
	rep.value("parsed.signature", len(p.Signature) == 0 && p.Timestamp == 0, "a stored bundle has no signature and no timestamp")
	var ours, theirs []string
	var why *cause
	for _, x := range n.devices.active(identity, maxInstallations) {
		if key, e, known := n.newest(peer{identity, x.id}); known {
			ours = append(ours, describe(x.id, key, e.version, x.version))
		}
	}
	for _, x := range n.ref.devices.active(identity, maxInstallations) {
		owner := peer{identity, x.id}
		if key, known := n.ref.lowest(owner); known {
			row := n.ref.prekeys[key]
			theirs = append(theirs, describe(x.id, key, row.version, x.version))
			why = firstCause(why, row.foreign)
			if newest, _, known := n.newest(owner); known && newest != key {
				why = firstCause(why, &cause{devNewestBundle, -1, "the reference uses the oldest bundle it has not expired"})
			}
		}
	}
	var recorded []string
	for _, k := range p.PreKeys {
		if len(k.Key) == len(wire.PublicKey{}) {
			recorded = append(recorded, describe(k.InstallationID, wire.PublicKey(k.Key), k.Version, k.ProtocolVersion))
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	slices.Sort(recorded)
	switch {
	case slices.Equal(ours, recorded) && len(recorded) == len(p.PreKeys):
		rep.equal(KindValue, "parsed.signed_pre_keys")
	case why != nil && slices.Equal(theirs, recorded) && len(recorded) == len(p.PreKeys):
		rep.explained(KindValue, "parsed.signed_pre_keys", *why)
	default:
		rep.differs(KindValue, "parsed.signed_pre_keys", "ours %v, recorded %v", ours, recorded)
	}
	return nil
}

func describe(id string, key wire.PublicKey, version, protocolVersion uint32) string {
	return fmt.Sprintf("%s %x v%d p%d", id, key, version, protocolVersion)
}
