package replay

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// maxInstallations is how many installations of an identity are sent to, and,
// with our own, how many a bundle of ours names.
const maxInstallations = 3

// device is an installation that a bundle named.
type device struct {
	id string
	// timestamp is when the newest bundle that names it was signed.
	timestamp int64
	enabled   bool
	// version is the protocol version, which never goes down.
	version uint32
}

// devices are the known installations of identities, our own installation
// excepted.
type devices map[x3dh.IdentityPublicKey]map[string]device

// apply takes over what a bundle says of installations and lists the new ones,
// by id. Installations of others are enabled, those of our own identity wait
// for approval.
func (d devices) apply(b *wire.Bundle, n *node) []device {
	identity := x3dh.IdentityPublicKey(b.Identity)
	var added []device
	for _, k := range b.PreKeys {
		if k.InstallationID == n.installation {
			continue
		}
		old, known := d[identity][k.InstallationID]
		if !known {
			if d[identity] == nil {
				d[identity] = map[string]device{}
			}
			fresh := device{
				id:        k.InstallationID,
				timestamp: b.Timestamp,
				enabled:   identity != n.identity.Public(),
				version:   k.ProtocolVersion,
			}
			d[identity][fresh.id] = fresh
			added = append(added, fresh)
			continue
		}
		if old.timestamp < b.Timestamp {
			old.timestamp = b.Timestamp
			old.version = max(old.version, k.ProtocolVersion)
			d[identity][old.id] = old
		}
	}
	return added
}

// active lists the enabled installations of an identity, the one active last
// first, at most limit.
func (d devices) active(identity x3dh.IdentityPublicKey, limit int) []device {
	list := slices.DeleteFunc(d.all(identity), func(x device) bool { return !x.enabled })
	slices.SortStableFunc(list, func(a, b device) int { return cmp.Compare(b.timestamp, a.timestamp) })
	return list[:min(limit, len(list))]
}

// all lists the installations of an identity by id.
func (d devices) all(identity x3dh.IdentityPublicKey) []device {
	return slices.SortedFunc(maps.Values(d[identity]), func(a, b device) int { return cmp.Compare(a.id, b.id) })
}

// enable approves or disables an installation of our own identity and tells
// whether it is known.
func (d devices) enable(identity x3dh.IdentityPublicKey, id string, enabled bool) bool {
	x, known := d[identity][id]
	if known {
		x.enabled = enabled
		d[identity][id] = x
	}
	return known
}

func (d devices) hashInto(h *stateHash) {
	for _, identity := range sortedIdentities(d) {
		h.add(identity[:])
		for _, x := range d.all(identity) {
			h.add([]byte(x.id))
			h.number(uint64(x.timestamp), boolNumber(x.enabled), uint64(x.version))
		}
	}
}

func sortedIdentities[V any](m map[x3dh.IdentityPublicKey]V) []x3dh.IdentityPublicKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b x3dh.IdentityPublicKey) int { return slices.Compare(a[:], b[:]) })
}
