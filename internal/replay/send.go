package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// errNoBundle reports that the recording uses a prekey that neither our node
// nor the model of the reference has.
var errNoBundle = errors.New("replay: no bundle with this prekey is known for the installation")

// send replays the making of a message.
func (d *driver) send(n *installed, s *step, rep *Step, f *feed) error {
	e := &s.Expect
	var to x3dh.IdentityPublicKey
	if s.Cmd != "public" {
		var err error
		if to, err = identityOf(s, "to", s.To); err != nil {
			return err
		}
	}
	if !e.OK {
		d.failedSend(n, s, rep, to)
		return nil
	}
	recorded, err := wire.Decode(e.Message)
	if err != nil {
		rep.differs(KindWire, "message", "recorded message: %v", err)
		return nil
	}
	m := &wire.Message{InstallationID: n.installation}
	c := &composer{installed: n, step: s, feed: f, rep: rep, to: to}
	if s.Cmd == "public" {
		m.Public, m.HasPublic = s.Payload, len(s.Payload) > 0
	} else if m.Entries, err = c.entries(recorded); err != nil {
		rep.differs(KindWire, "message", "ours: %v", err)
		return nil
	}
	if s.Cmd == "encrypt" {
		c.compareTargets(recorded)
	}
	var published *wire.Bundle
	if len(recorded.Bundles) == 1 {
		published = &recorded.Bundles[0]
	}
	bundle, why, err := n.publish(s, f, published)
	if err != nil {
		rep.differs(KindWire, "message", "own bundle: %v", err)
		return nil
	}
	c.why = firstCause(c.why, why)
	m.Bundles = []wire.Bundle{bundle}
	switch ours := m.Encode(); {
	case !bytes.Equal(ours, e.Message):
		rep.differs(KindWire, "message", "%s", messageDifference(m, recorded))
	case c.why != nil:
		rep.explained(KindWire, "message", *c.why)
	default:
		rep.equal(KindWire, "message")
	}
	rep.value("parsed", sameMessage(e.Parsed, recorded), "the recorded reading is not that of the recorded bytes")
	if s.Cmd != "encrypt" {
		rep.value("min_version", e.MinVersion != nil && *e.MinVersion == 0, "ours is 0")
		rep.value("partitioned_topic", e.PartitionedTopic != nil && !*e.PartitionedTopic, "ours is false")
	}
	rep.value("public", e.Public == (s.Cmd == "public"), "recorded as %t", e.Public)
	return nil
}

// failedSend is a message that the reference could not make: a prekey it has
// stored is no key. Our node does not have such a prekey.
func (d *driver) failedSend(n *installed, s *step, rep *Step, to x3dh.IdentityPublicKey) {
	e := &s.Expect
	why := n.ref.unusable
	for _, x := range n.ref.devices.active(to, maxInstallations) {
		if key, known := n.ref.lowest(peer{to, x.id}); known && !isCurvePoint(key) {
			why = firstCause(why, n.ref.prekeys[key].foreign)
		}
	}
	if why == nil || s.Cmd != "encrypt" || !refusedPublicKey.matches(e) {
		rep.differs(KindRefusal, "error", "recorded %s %q; nothing keeps us from sending", e.ErrorKind, e.Error)
		return
	}
	rep.explained(KindRefusal, "error", *why)
	// The reference has begun sessions with the devices before, and kept them.
	c := &composer{installed: n, step: s, feed: newFeed(e), rep: rep, to: to}
	for _, x := range c.targets(n.ref.devices) {
		p := peer{to, x.id}
		prekey, known := n.ref.lowest(p)
		if n.ref.infos[infoKey{prekey, p}] != nil || !known || !isCurvePoint(prekey) || len(c.feed.left()) == 0 {
			continue
		}
		begun, err := c.start(p, prekey, "")
		if err == nil {
			_, err = begun.encrypt(s.Payload, c.feed)
		}
		if err != nil {
			rep.differs(KindValue, "generated_keys", "session with %.40q: %v", x.id, err)
			continue
		}
		begun.trace.origin = why
		n.ref.rows[rowKey{prekey, x.id}] = begun
		n.ref.infos[infoKey{prekey, p}] = &info{header: true}
	}
	if left := c.feed.left(); len(left) > 0 {
		rep.differs(KindValue, "generated_keys", "nothing accounts for %v", left)
	}
}

// composer makes the encrypted parts of one message.
type composer struct {
	*installed
	step *step
	feed *feed
	rep  *Step
	to   x3dh.IdentityPublicKey
	// why is set when a part can be made only as the reference made it.
	why *cause
}

// entries makes the part of every recipient that the recording names.
func (c *composer) entries(recorded *wire.Message) ([]wire.Entry, error) {
	var entries []wire.Entry
	for i := range recorded.Entries {
		e := &recorded.Entries[i]
		var part wire.Part
		var err error
		if e.Part.DR == nil {
			part, err = c.dhOnly(e.Recipient)
		} else {
			part, err = c.forSession(e.Recipient, &e.Part)
		}
		if err != nil {
			return nil, fmt.Errorf("part for %.40q: %w", e.Recipient, err)
		}
		entries = append(entries, wire.Entry{Recipient: e.Recipient, Part: part})
	}
	return entries, nil
}

// dhOnly encrypts for an identity without a known bundle.
func (c *composer) dhOnly(recipient string) (part wire.Part, err error) {
	key := &oneKey{take: func() (hexBytes, error) { return c.feed.key(purposeDHEphemeral, recipient) }}
	nonce := &oneKey{take: c.feed.nonce}
	payload, ephemeral, err := x3dh.SealDHOnly(c.to, c.step.Payload, io.MultiReader(key, nonce))
	if err != nil {
		return part, err
	}
	return wire.Part{DH: &wire.DHHeader{Ephemeral: wire.PublicKey(ephemeral)}, Payload: payload}, nil
}

// forSession encrypts with the session that the recording uses for a recipient.
func (c *composer) forSession(recipient string, recorded *wire.Part) (part wire.Part, err error) {
	id := recorded.DR.SignedPreKey
	p := peer{c.to, recipient}
	key := rowKey{id, recipient}
	s := c.ref.rows[key]
	agreement := c.ref.infos[infoKey{id, p}]
	if s == nil || agreement == nil {
		if s, err = c.initiate(p, id); err != nil {
			return part, err
		}
		agreement = &info{header: true}
		c.ref.infos[infoKey{id, p}] = agreement
		if begun := c.ref.rows[key]; begun != nil {
			// The reference finds the session of somebody else under these ids.
			s = begun
		} else {
			c.ref.rows[key] = s
		}
	}
	switch {
	case s.trace.origin != nil:
		c.why = firstCause(c.why, s.trace.origin)
		if id := s.trace.origin.id; s.peer == p && (id == devSessionStored || id == devStrictDecoding) {
			// Ours would not have this session yet; but having sent on it we have
			// to understand the answer.
			c.sessions[s.id] = s
		}
	case s.peer.identity != c.to:
		c.why = firstCause(c.why, &cause{devSessionIdentity, -1, "encrypted under the session of another identity with the same installation id"})
	}
	m, err := s.encrypt(c.step.Payload, c.feed)
	if err != nil {
		return part, err
	}
	part.Payload = m.Ciphertext
	part.DR = &wire.DRHeader{RatchetKey: m.Header.Key.Bytes(), N: m.Header.N, PN: m.Header.PN, SignedPreKey: s.prekey}
	c.header(&part, s, agreement, recorded.X3DH != nil)
	return part, nil
}

// header adds the X3DH header as long as nothing was heard of the session.
func (c *composer) header(part *wire.Part, s *session, agreement *info, recorded bool) {
	wanted := s.ephemeral != nil && !s.heard
	if wanted != recorded && recorded == agreement.header && s.ephemeral != nil {
		switch {
		case agreement.stopped != nil:
			c.why = firstCause(c.why, agreement.stopped)
			wanted = recorded
		case s.trace.origin != nil:
			wanted = recorded
		}
	}
	if wanted {
		part.X3DH = &wire.X3DHHeader{Ephemeral: *s.ephemeral, SignedPreKey: s.prekey}
	}
}

// initiate starts a session with the prekey that the recording uses.
func (c *composer) initiate(p peer, prekey wire.PublicKey) (*session, error) {
	_, ours := c.bundles[p][prekey]
	row := c.ref.prekeys[prekey]
	if !ours && (row == nil || row.owner != p) {
		return nil, errNoBundle
	}
	s, err := c.start(p, prekey, p.installation)
	if err != nil {
		return nil, err
	}
	switch {
	case !ours && row.foreign != nil && row.foreign.id == devBundleKept:
		// Ours would have looked the bundle up before sending, and it is valid:
		// the session is as good as any.
		c.why = firstCause(c.why, row.foreign)
		c.sessions[s.id] = s
	case !ours:
		s.trace.origin = firstCause(row.foreign, &cause{devBundleVerified, -1, "the bundle was not accepted"})
	default:
		c.sessions[s.id] = s
		if newest, _, _ := c.newest(p); newest != prekey {
			c.compareChoice(p, prekey)
		}
	}
	return s, nil
}

// compareChoice is reached when the recording does not use the newest prekey.
func (c *composer) compareChoice(p peer, prekey wire.PublicKey) {
	lowest, known := c.ref.lowest(p)
	row := c.ref.prekeys[prekey]
	// Of equal versions the reference may take any.
	if known && row != nil && row.owner == p && row.expired == nil && row.version == c.ref.prekeys[lowest].version {
		c.rep.explained(KindValue, "prekey of the session", cause{devNewestBundle, -1, "the reference uses the oldest bundle it has not expired"})
		return
	}
	c.rep.differs(KindValue, "prekey of the session", "recorded is neither the newest prekey nor the one the reference would take")
}

// compareTargets checks the recorded targets and what hangs on them.
func (c *composer) compareTargets(recorded *wire.Message) {
	e := &c.step.Expect
	ours, theirs := c.targets(c.devices), c.targets(c.ref.devices)
	apart := c.ref.apart[c.to]
	var version uint32
	agreed := true
	chosen := ours
	switch {
	case sameIDs(e.Targets, ours):
		c.rep.equal(KindValue, "targets")
	case apart != nil && sameIDs(e.Targets, theirs):
		c.rep.explained(KindValue, "targets", *apart)
		chosen = theirs
	default:
		c.rep.differs(KindValue, "targets", "ours %v, recorded %v", ids(ours), e.Targets)
	}
	speaking := c.node.secrets[c.to]
	foretold := c.ref.secrets[c.to]
	foretoldAgreed := true
	for i, x := range chosen {
		if i == 0 || x.version < version {
			version = x.version
		}
		agreed = agreed && speaking[x.id]
		foretoldAgreed = foretoldAgreed && foretold[x.id]
	}
	agreed, foretoldAgreed = agreed && len(chosen) > 0, foretoldAgreed && len(chosen) > 0
	switch {
	case e.Agreed == nil:
		c.rep.differs(KindValue, "agreed", "not recorded")
	case *e.Agreed == agreed:
		c.rep.equal(KindValue, "agreed")
	case *e.Agreed == foretoldAgreed && apart != nil:
		c.rep.explained(KindValue, "agreed", *apart)
	default:
		c.rep.differs(KindValue, "agreed", "ours is %t", agreed)
	}
	c.rep.value("min_version", e.MinVersion != nil && *e.MinVersion == version, "ours is %d", version)
	c.rep.value("partitioned_topic", e.PartitionedTopic != nil && *e.PartitionedTopic == (version >= protocolVersion), "ours is %t", version >= protocolVersion)
	secret, err := c.identity.SharedSecret(c.to)
	c.rep.value("shared_secret", err == nil && bytes.Equal(secret[:], e.SharedSecret), "ours is another")
	c.missingEntries(recorded)
}

// missingEntries explains targets that got no part of the message.
func (c *composer) missingEntries(recorded *wire.Message) {
	for _, id := range c.step.Expect.Targets {
		if slices.ContainsFunc(recorded.Entries, func(e wire.Entry) bool { return e.Recipient == id }) {
			continue
		}
		p := peer{c.to, id}
		what := "part for a target"
		_, published := c.ref.lowest(p)
		why := c.ref.whyUnpublished(p, c.bundles[p])
		switch {
		case len(c.bundles[p]) == 0:
			c.rep.equal(KindValue, what)
		case !published && why != nil:
			c.rep.explained(KindValue, what, *why)
		default:
			c.rep.differs(KindValue, what, "we can send to %.40q, the recorded message has nothing for it", id)
		}
	}
}

// whyUnpublished says why the reference has no prekey in force for an
// installation although we have accepted some.
func (r *reference) whyUnpublished(p peer, accepted map[wire.PublicKey]entry) *cause {
	for _, key := range sortedKeys(accepted) {
		row := r.prekeys[key]
		switch {
		case row == nil:
		case row.owner != p:
			return &cause{devPreKeyOwner, -1, "another identity had named the same prekey before"}
		case row.expired != nil && row.expired != supersede:
			return row.expired
		}
	}
	return nil
}

// targets are the installations a message goes to. An installation id that is
// also ours is never one.
func (c *composer) targets(d devices) []device {
	return slices.DeleteFunc(d.active(c.to, maxInstallations), func(x device) bool { return x.id == c.installation })
}

func ids(list []device) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].id
	}
	return names
}

func sameIDs(recorded []string, list []device) bool { return slices.Equal(recorded, ids(list)) }

// messageDifference says where two messages differ, without their contents.
func messageDifference(ours, recorded *wire.Message) string {
	if len(ours.Entries) != len(recorded.Entries) {
		return fmt.Sprintf("ours has %d parts, recorded are %d", len(ours.Entries), len(recorded.Entries))
	}
	for i := range ours.Entries {
		a, b := &ours.Entries[i].Part, &recorded.Entries[i].Part
		switch {
		case (a.X3DH == nil) != (b.X3DH == nil) || a.X3DH != nil && *a.X3DH != *b.X3DH:
			return fmt.Sprintf("part %d: X3DH header, ours %t, recorded %t", i, a.X3DH != nil, b.X3DH != nil)
		case a.DR != nil && b.DR != nil && (a.DR.N != b.DR.N || a.DR.PN != b.DR.PN):
			return fmt.Sprintf("part %d: ours has n %d pn %d, recorded n %d pn %d", i, a.DR.N, a.DR.PN, b.DR.N, b.DR.PN)
		case a.DR != nil && b.DR != nil && !bytes.Equal(a.DR.RatchetKey, b.DR.RatchetKey):
			return fmt.Sprintf("part %d: ratchet key", i)
		case !bytes.Equal(a.Payload, b.Payload):
			return fmt.Sprintf("part %d: ciphertext", i)
		}
	}
	if len(ours.Bundles) == 1 && len(recorded.Bundles) == 1 {
		return "bundle: " + bundleDifference(&ours.Bundles[0], &recorded.Bundles[0])
	}
	return fmt.Sprintf("ours has %d bundles, recorded are %d, or the frame differs", len(ours.Bundles), len(recorded.Bundles))
}
