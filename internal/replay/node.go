package replay

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// defaultRefresh is how long a bundle of our own is published, in nanoseconds.
const defaultRefresh = 24 * 60 * 60 * 1_000_000_000

// protocolVersion is what deployed clients announce for their installation.
const protocolVersion = 1

// node is one installation: our core with the state a recording gives it.
type node struct {
	identity     x3dh.IdentityKey
	installation string
	limits       ratchet.Limits
	refresh      int64 // ns

	prekeys  []ownPreKey // oldest first
	devices  devices
	bundles  map[peer]map[wire.PublicKey]entry
	sessions map[sessionID]*session
	secrets  secrets
}

// ownPreKey is a signed prekey of ours.
type ownPreKey struct {
	key     x3dh.PreKey
	version uint32
	created int64 // ns since the epoch
}

// entry is what an accepted bundle says of one prekey.
type entry struct {
	version         uint32
	protocolVersion uint32
	timestamp       int64
}

// secrets are the installations of an identity that have spoken with us, for
// the negotiated topic; the secret itself is a static agreement.
type secrets map[x3dh.IdentityPublicKey]map[string]bool

func (s secrets) add(identity x3dh.IdentityPublicKey, installation string) {
	if s[identity] == nil {
		s[identity] = map[string]bool{}
	}
	s[identity][installation] = true
}

func newNode(s *step) (*node, error) {
	identity, err := x3dh.NewIdentity(s.IdentityPriv)
	if err != nil {
		return nil, malformed(fmt.Sprintf("step %d", s.I), "identity_priv: %w", err)
	}
	n := &node{
		identity:     identity,
		installation: s.InstallationID,
		devices:      devices{},
		bundles:      map[peer]map[wire.PublicKey]entry{},
		sessions:     map[sessionID]*session{},
		secrets:      secrets{},
	}
	return n, n.configure(s.Config, s.I)
}

// Limits of what a recording may configure, so that none takes the replay
// hours.
const (
	maxConfiguredSkip = 100_000
	maxConfiguredKeys = 1_000_000
)

func checkLimits(where string, l ratchet.Limits) error {
	if l.MaxSkip > maxConfiguredSkip || l.MaxStored < 0 || l.MaxStored > maxConfiguredKeys {
		return malformed(where, "max_skip %d (at most %d) or max_message_keys_per_session %d (at most %d)",
			l.MaxSkip, maxConfiguredSkip, l.MaxStored, maxConfiguredKeys)
	}
	return nil
}

func (n *node) configure(c *config, i int) error {
	n.limits, n.refresh = ratchet.DeployedLimits(), defaultRefresh
	if c == nil {
		return nil
	}
	if c.MaxSkip != nil {
		n.limits.MaxSkip = *c.MaxSkip
	}
	if c.MaxKeep != nil {
		n.limits.MaxKeep = *c.MaxKeep
	}
	if c.MaxMessageKeys != nil {
		n.limits.MaxStored = *c.MaxMessageKeys
	}
	if c.RefreshInterval != nil {
		n.refresh = *c.RefreshInterval * 1_000_000
	}
	return checkLimits(fmt.Sprintf("step %d", i), n.limits)
}

// prekey finds a signed prekey of ours; old ones stay usable.
func (n *node) prekey(public wire.PublicKey) *x3dh.PreKey {
	for i := range n.prekeys {
		if wire.PublicKey(n.prekeys[i].key.Public()) == public {
			return &n.prekeys[i].key
		}
	}
	return nil
}

// rotationDue tells whether the own bundle has to be renewed.
func (n *node) rotationDue(now int64) bool {
	return len(n.prekeys) == 0 || n.prekeys[len(n.prekeys)-1].created < now-n.refresh
}

// rotate takes a new signed prekey into use.
func (n *node) rotate(scalar []byte, now int64) error {
	key, err := x3dh.NewPreKey(scalar)
	if err != nil {
		return err
	}
	version := uint32(1)
	if len(n.prekeys) > 0 {
		version = n.prekeys[len(n.prekeys)-1].version + 1
	}
	n.prekeys = append(n.prekeys, ownPreKey{key: key, version: version, created: now})
	return nil
}

// ownBundle makes and signs the bundle we publish: our prekey and those of our
// other devices that are approved.
func (n *node) ownBundle(now int64) (wire.Bundle, error) {
	current := n.prekeys[len(n.prekeys)-1]
	b := wire.Bundle{Timestamp: now, PreKeys: []wire.SignedPreKey{{
		InstallationID:  n.installation,
		Key:             wire.PublicKey(current.key.Public()),
		Version:         current.version,
		ProtocolVersion: protocolVersion,
	}}}
	own := n.identity.Public()
	for _, d := range n.devices.active(own, maxInstallations-1) {
		key, e, known := n.newest(peer{own, d.id})
		if known {
			b.PreKeys = append(b.PreKeys, wire.SignedPreKey{
				InstallationID: d.id, Key: key, Version: e.version, ProtocolVersion: d.version,
			})
		}
	}
	return b, x3dh.SignBundle(&n.identity, &b)
}

// accept keeps what a verified bundle says and lists the installations that
// are new. Our own installation is nobody else's business.
func (n *node) accept(b *wire.Bundle) []device {
	for _, k := range b.PreKeys {
		if k.InstallationID == n.installation {
			continue
		}
		p := peer{x3dh.IdentityPublicKey(b.Identity), k.InstallationID}
		if n.bundles[p] == nil {
			n.bundles[p] = map[wire.PublicKey]entry{}
		}
		if old, known := n.bundles[p][k.Key]; !known || old.timestamp < b.Timestamp {
			n.bundles[p][k.Key] = entry{version: k.Version, protocolVersion: k.ProtocolVersion, timestamp: b.Timestamp}
		}
	}
	return n.devices.apply(b, n)
}

// newest gives the prekey of an installation that has the highest version.
func (n *node) newest(p peer) (best wire.PublicKey, e entry, known bool) {
	for _, key := range sortedKeys(n.bundles[p]) {
		other := n.bundles[p][key]
		if !known || other.version > e.version || other.version == e.version && other.timestamp > e.timestamp {
			best, e, known = key, other, true
		}
	}
	return best, e, known
}

// candidates lists the sessions that a message of a peer under a prekey can
// belong to, those that know its ratchet key first.
func (n *node) candidates(p peer, prekey wire.PublicKey, ref ratchet.KeyRef) []*session {
	var known, others []*session
	for _, id := range slices.SortedFunc(maps.Keys(n.sessions), compareIDs) {
		s := n.sessions[id]
		if s.peer != p || s.prekey != prekey {
			continue
		}
		if _, skipped := s.stored[ref]; skipped || s.state.Remote == ref.Ratchet {
			known = append(known, s)
		} else {
			others = append(others, s)
		}
	}
	return append(known, others...)
}

func compareIDs(a, b sessionID) int { return slices.Compare(a[:], b[:]) }

func sortedKeys[V any](m map[wire.PublicKey]V) []wire.PublicKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b wire.PublicKey) int { return slices.Compare(a[:], b[:]) })
}

// hash covers everything the node keeps.
func (n *node) hash() [32]byte {
	h := newStateHash()
	h.add(n.identity.Scalar(), []byte(n.installation))
	for i := range n.prekeys {
		h.add(n.prekeys[i].key.Scalar())
		h.number(uint64(n.prekeys[i].version), uint64(n.prekeys[i].created))
	}
	n.devices.hashInto(h)
	peers := slices.SortedFunc(maps.Keys(n.bundles), comparePeers)
	for _, p := range peers {
		h.add(p.identity[:], []byte(p.installation))
		for _, key := range sortedKeys(n.bundles[p]) {
			e := n.bundles[p][key]
			h.add(key[:])
			h.number(uint64(e.version), uint64(e.protocolVersion), uint64(e.timestamp))
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(n.sessions), compareIDs) {
		n.sessions[id].hashInto(h)
	}
	for _, identity := range sortedIdentities(n.secrets) {
		h.add(identity[:])
		for _, installation := range slices.Sorted(maps.Keys(n.secrets[identity])) {
			h.add([]byte(installation))
		}
	}
	return h.sum()
}

func comparePeers(a, b peer) int {
	if c := slices.Compare(a.identity[:], b.identity[:]); c != 0 {
		return c
	}
	return slices.Compare([]byte(a.installation), []byte(b.installation))
}
