package bundleactor

import (
	"io"
	"slices"
	"time"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// protocolVersion is what deployed clients announce in every signed prekey.
const protocolVersion = 1

// Schedule says when own signed prekeys and bundles are renewed.
type Schedule struct {
	// Rotate is how old a signed prekey gets before a new one replaces it.
	Rotate time.Duration
	// Keep is how long the private half of a replaced one can still be used.
	Keep time.Duration
	// Refresh is how old a signature gets before the unchanged bundle is
	// signed again: deployed peers rank devices by the time of signing.
	Refresh time.Duration
}

// DefaultSchedule rotates every 24 hours (5/SECURE-TRANSPORT, Bundle
// Retrieval), keeps replaced prekeys 14 days and signs again every hour.
func DefaultSchedule() Schedule {
	return Schedule{Rotate: 24 * time.Hour, Keep: 14 * 24 * time.Hour, Refresh: time.Hour}
}

// PreKey is one signed prekey of ours.
type PreKey struct {
	Key     x3dh.PreKey
	Version uint32
	Created int64 // ns
	Expired int64 // ns, when a newer one took its place; 0 while current
}

// PreKeys are the signed prekeys of one hosted installation that can still be
// used, in the order of their versions; the last one is current. A plain
// value; steps return changed copies.
type PreKeys []PreKey

// Current gives the signed prekey of our bundle.
func (p PreKeys) Current() (PreKey, bool) {
	if len(p) == 0 {
		return PreKey{}, false
	}
	return p[len(p)-1], true
}

// Find gives the signed prekey with that public half, nil if there is none.
func (p PreKeys) Find(public x3dh.PreKeyPublic) *Found {
	for i := range p {
		if p[i].Key.Public() != public {
			continue
		}
		found := Found{PreKey: p[i]}
		for j := i + 1; j < len(p); j++ {
			found.Newer = append(found.Newer, p[j].Key.Public())
		}
		return &found
	}
	return nil
}

// due tells whether Rotate has something to do for an installation that has
// prekeys.
func (p PreKeys) due(s Schedule, now int64) bool {
	current, ok := p.Current()
	return ok && (current.rotates(s, now) || slices.ContainsFunc(p, func(k PreKey) bool { return k.gone(s, now) }))
}

func (k *PreKey) rotates(s Schedule, now int64) bool { return now-k.Created >= int64(s.Rotate) }

// gone tells whether the private half was kept long enough.
func (k *PreKey) gone(s Schedule, now int64) bool {
	return k.Expired != 0 && now-k.Expired >= int64(s.Keep)
}

// Change is what has to be committed with a new PreKeys.
type Change struct {
	Put  []PreKey
	Drop []PreKey
}

// Rotate makes a new signed prekey if there is none or the current one is due,
// and drops those that were kept long enough after their replacement. Versions
// only grow.
func (p PreKeys) Rotate(s Schedule, now int64, rand io.Reader) (PreKeys, Change, error) {
	next := slices.Clone(p)
	var change Change
	current, ok := next.Current()
	if !ok || current.rotates(s, now) {
		key, err := x3dh.GeneratePreKey(rand)
		if err != nil {
			return p, Change{}, err
		}
		if ok {
			next[len(next)-1].Expired = now
			change.Put = append(change.Put, next[len(next)-1])
		}
		fresh := PreKey{Key: key, Version: current.Version + 1, Created: now}
		next = append(next, fresh)
		change.Put = append(change.Put, fresh)
	}
	next = slices.DeleteFunc(next, func(k PreKey) bool {
		gone := k.gone(s, now)
		if gone {
			change.Drop = append(change.Drop, k)
		}
		return gone
	})
	return next, change, nil
}

// Sibling is an enabled other installation of our identity with its newest
// signed prekey: it stands in our bundle, so that contacts learn of it.
type Sibling struct {
	InstallationID  string
	Key             x3dh.PreKeyPublic
	Version         uint32
	ProtocolVersion uint32
}

// Bundle builds and signs our bundle: our current prekey and those of the
// siblings. It is signed at now, or one nanosecond after last if the clock has
// gone back: peers never accept a timestamp below the last published.
func (p PreKeys) Bundle(own *x3dh.IdentityKey, installation string, siblings []Sibling, now, last int64) (wire.Bundle, error) {
	current, ok := p.Current()
	if !ok {
		return wire.Bundle{}, x3dh.ErrBundleEmpty
	}
	b := wire.Bundle{Timestamp: max(now, last+1)}
	b.PreKeys = append(b.PreKeys, wire.SignedPreKey{
		InstallationID:  installation,
		Key:             wire.PublicKey(current.Key.Public()),
		Version:         current.Version,
		ProtocolVersion: protocolVersion,
	})
	for _, s := range siblings {
		b.PreKeys = append(b.PreKeys, wire.SignedPreKey{
			InstallationID:  s.InstallationID,
			Key:             wire.PublicKey(s.Key),
			Version:         s.Version,
			ProtocolVersion: s.ProtocolVersion,
		})
	}
	return b, x3dh.SignBundle(own, &b)
}
