package replay

import (
	"errors"
	"maps"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// reference models what the deployed reference does differently from our node:
// which bundles it stores, which session stands behind which id, when it stops
// sending the X3DH header. It decides nothing; it only explains recorded values
// that are not ours.
type reference struct {
	prekeys map[wire.PublicKey]*storedPreKey
	infos   map[infoKey]*info
	rows    map[rowKey]*session
	devices devices
	secrets secrets
	// awaiting are the message keys that wait for their confirmation.
	awaiting map[string]confirmation
	// apart is, by identity, the first cause for which its devices and secrets
	// are not ours.
	apart map[x3dh.IdentityPublicKey]*cause
	// unusable is set when a prekey that is no key may have been stored.
	unusable *cause
}

// storedPreKey is a row of the reference's bundle table, where the prekey alone
// is the key and the first row wins.
type storedPreKey struct {
	owner           peer
	version         uint32
	protocolVersion uint32
	expired         *cause // set when expired
	// foreign is why our node does not have this row.
	foreign *cause
}

// infoKey names an agreement in the reference, rowKey a ratchet session: the
// latter does without the identity.
type infoKey struct {
	prekey wire.PublicKey
	peer   peer
}

type rowKey struct {
	prekey       wire.PublicKey
	installation string
}

// info is an agreement of the reference.
type info struct {
	// header says that messages still carry the X3DH header; stopped is why they
	// no longer do although ours would.
	header  bool
	stopped *cause
}

type confirmation struct {
	row *session
	ref ratchet.KeyRef
}

func newReference() *reference {
	return &reference{
		prekeys:  map[wire.PublicKey]*storedPreKey{},
		infos:    map[infoKey]*info{},
		rows:     map[rowKey]*session{},
		devices:  devices{},
		secrets:  secrets{},
		awaiting: map[string]confirmation{},
		apart:    map[x3dh.IdentityPublicKey]*cause{},
	}
}

// supersede is the cause of rows that a later version made obsolete.
var supersede = &cause{step: -1}

// store puts the prekeys of a bundle into the table, as the reference does
// before it checks anything. foreign is why our node has not accepted them.
func (r *reference) store(b *wire.Bundle, n *node, foreign *cause) {
	for _, k := range b.PreKeys {
		owner := peer{x3dh.IdentityPublicKey(b.Identity), k.InstallationID}
		why := foreign
		if why == nil && k.InstallationID == n.installation {
			why = &cause{devOwnBundle, -1, "a bundle names our own installation"}
		}
		old := r.prekeys[k.Key]
		if old == nil {
			r.prekeys[k.Key] = &storedPreKey{owner: owner, version: k.Version, protocolVersion: k.ProtocolVersion, foreign: why}
		} else if why == nil && old.owner == owner {
			old.foreign = nil
		}
		r.expire(owner, k.Version, why)
	}
}

// expire marks the older versions of an installation.
func (r *reference) expire(owner peer, version uint32, why *cause) {
	if why == nil {
		why = supersede
	}
	for _, row := range r.prekeys {
		if row.owner == owner && row.version < version && (row.expired == nil || row.expired != supersede && why == supersede) {
			row.expired = why
		}
	}
}

// rotate puts a new prekey of our own into the table and gives its version.
func (r *reference) rotate(n *node) uint32 {
	owner := peer{n.identity.Public(), n.installation}
	var version uint32
	for _, row := range r.prekeys {
		if row.owner == owner {
			version = max(version, row.version)
		}
	}
	version++
	key := wire.PublicKey(n.prekeys[len(n.prekeys)-1].key.Public())
	r.prekeys[key] = &storedPreKey{owner: owner, version: version, protocolVersion: protocolVersion}
	r.expire(owner, version, nil)
	return version
}

// published lists the rows of an installation that are in force.
func (r *reference) published(owner peer) []wire.PublicKey {
	var keys []wire.PublicKey
	for _, key := range sortedKeys(r.prekeys) {
		if row := r.prekeys[key]; row.owner == owner && row.expired == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// lowest gives the prekey the reference starts a session with.
func (r *reference) lowest(owner peer) (best wire.PublicKey, known bool) {
	for _, key := range r.published(owner) {
		if !known || r.prekeys[key].version < r.prekeys[best].version {
			best, known = key, true
		}
	}
	return best, known
}

// foreseen is what the model foretells of a message that arrives.
type foreseen struct {
	// refusals are the possible refusals; empty if the message is accepted.
	refusals  []refusal
	plaintext []byte
	turned    bool
	added     []device
	secret    bool
	// row is the ratchet session that stood behind the message's ids, result
	// the attempt on it, again a message that it had decrypted before.
	row    *session
	result *result
	again  bool
	// unsupported says that the message is of the hash ratchet.
	unsupported bool
}

func (f *foreseen) refuse(r ...refusal) *foreseen {
	f.refusals = r
	return f
}

// process lets the model receive a message that our node has judged but not
// taken yet: err is its refusal, r what it would do.
func (r *reference) process(n *node, m *wire.Message, from x3dh.IdentityPublicKey, s *step, got *received, err error) *foreseen {
	f := &foreseen{}
	for i := range m.Bundles {
		b := &m.Bundles[i]
		var foreign *cause
		if err != nil || !slices.Contains(got.bundles, b) {
			foreign = refusedBundle(b, s)
		}
		r.store(b, n, foreign)
		if refusals := signatureRefusals(b); refusals != nil {
			return f.refuse(refusals...)
		}
		f.added = r.devices.apply(b, n)
		if foreign != nil {
			r.part(x3dh.IdentityPublicKey(b.Identity), foreign)
		}
	}
	if m.HasPublic {
		f.plaintext = m.Public
		return f
	}
	if len(m.Entries) == 0 {
		return f.refuse(refusedNoPayload)
	}
	part, partErr := n.part(m, from)
	switch {
	case errors.Is(partErr, errDeviceNotFound):
		return f.refuse(refusedDevice)
	case partErr != nil:
		return f.refuse(refusedNotPaired)
	case part != nil:
		r.open(f, n, part, peer{from, m.InstallationID}, s, got, err)
	}
	if f.refusals == nil && messageVersion(m) >= protocolVersion {
		f.secret = true
		r.secrets.add(from, m.InstallationID)
		if err != nil && !n.secrets[from][m.InstallationID] {
			r.part(from, &cause{devBundleKept, s.I, "a message that we refused was accepted"})
		}
	}
	return f
}

func firstCause(old, fresh *cause) *cause {
	if old != nil {
		return old
	}
	return fresh
}

// part notes why an identity's devices or secrets are no longer ours.
func (r *reference) part(identity x3dh.IdentityPublicKey, why *cause) {
	r.apart[identity] = firstCause(r.apart[identity], why)
}

// reunite forgets causes that no longer make a difference.
func (r *reference) reunite(n *node) {
	for identity := range r.apart {
		if maps.Equal(r.devices[identity], n.devices[identity]) && maps.Equal(r.secrets[identity], n.secrets[identity]) {
			delete(r.apart, identity)
		}
	}
}

// refusedBundle says why our node did not keep a bundle.
func refusedBundle(b *wire.Bundle, s *step) *cause {
	err := x3dh.CheckBundle(b, s.Clock)
	switch {
	case err == nil:
		return &cause{devBundleKept, s.I, "the bundle came in a message that we refused"}
	case !referenceVerifies(b):
		return &cause{devBundleVerified, s.I, "the bundle was refused: " + err.Error()}
	case x3dh.VerifySignature(b) != nil:
		return &cause{highS.id, s.I, highS.why}
	}
	return &cause{devBundlePolicy, s.I, "the bundle was refused: " + err.Error()}
}

// open follows the reference through the headers of one part.
func (r *reference) open(f *foreseen, n *node, part *wire.Part, p peer, s *step, got *received, err error) {
	if h := part.X3DH; h != nil {
		if n.prekey(h.SignedPreKey) == nil {
			f.refuse(refusedSession)
			return
		}
		if !isCurvePoint(h.Ephemeral) {
			f.refuse(refusedPublicKey)
			return
		}
		r.infos[infoKey{h.SignedPreKey, p}] = &info{}
	}
	switch {
	case part.DR != nil:
		r.openRatchet(f, n, part, p, s, got, err)
	case part.DH != nil:
		// Not our node's word, which can be a refusal of a bundle beside it.
		plaintext, err := x3dh.OpenDHOnly(&n.identity, x3dh.EphemeralPublic(part.DH.Ephemeral), part.Payload)
		switch {
		case err == nil:
			f.plaintext = plaintext
		case errors.Is(err, x3dh.ErrKey):
			f.refuse(refusedPublicKey)
		case len(part.Payload) < 12:
			f.refuse(refusedTooShort)
		default:
			f.refuse(refusedAEAD)
		}
	case part.HashRatchet:
		f.unsupported = true
	default:
		f.refuse(refusedNoKey)
	}
}

func (r *reference) openRatchet(f *foreseen, n *node, part *wire.Part, p peer, s *step, got *received, err error) {
	m, headerErr := ratchetMessage(part)
	if headerErr != nil {
		f.refuse(refusedRatchetKey)
		return
	}
	agreement := r.infos[infoKey{part.DR.SignedPreKey, p}]
	if agreement == nil {
		f.refuse(refusedSession)
		return
	}
	if agreement.header {
		agreement.header = false
		if err != nil {
			agreement.stopped = &cause{devHeaderUntilReply, s.I, "a message that did not decrypt stopped the X3DH header"}
		}
	}
	key := rowKey{part.DR.SignedPreKey, p.installation}
	row := r.rows[key]
	if row == nil {
		if row = r.begin(n, part, p, s, got, err); row == nil {
			f.refuse(refusedSession)
			return
		}
		r.rows[key] = row
	}
	f.row = row
	r.awaiting[s.MessageID] = confirmation{row, ratchet.KeyRef{Ratchet: m.Header.Key, N: m.Header.N}}
	row.foresee(f, m, nil, n.limits)
}

// begin gives the session that the reference stores on an initial message,
// before anything of it has decrypted.
func (r *reference) begin(n *node, part *wire.Part, p peer, s *step, got *received, err error) *session {
	if err == nil && got.result != nil && got.result.session.prekey == part.DR.SignedPreKey {
		return got.result.session
	}
	if part.X3DH == nil {
		return nil
	}
	own := n.prekey(part.X3DH.SignedPreKey)
	if own == nil {
		return nil
	}
	row, startErr := newResponder(n, p, own, part.X3DH.Ephemeral)
	if startErr != nil {
		return nil
	}
	row.trace.origin = &cause{devSessionStored, s.I, "the reference stored a session whose first message did not decrypt"}
	return row
}

// begun finds a session that the reference stored and our node has not.
func (r *reference) begun(id sessionID) *session {
	for _, row := range r.rows {
		if row.id == id && row.trace.origin != nil {
			return row
		}
	}
	return nil
}

// confirm deletes the key of a message, as the application's confirmation does.
func (r *reference) confirm(messageID string) {
	if c, known := r.awaiting[messageID]; known {
		delete(c.row.trace.kept, c.ref)
		delete(r.awaiting, messageID)
	}
}
