package bundleactor

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rookery-im/rookery/x3dh"
)

// Schedule says when own signed prekeys and bundles are renewed.
type Schedule struct {
	// Rotate is how old a signed prekey gets before a new one replaces it.
	Rotate time.Duration
	// Keep is how long the private half of a replaced one can still be used.
	Keep time.Duration
	// Refresh is how old a signature gets before the unchanged bundle is
	// signed again: deployed peers rank devices by the time of signing, and
	// write to the newest few only.
	Refresh time.Duration
	// Publish is how often the bundle is published for everybody although it
	// has not changed; 0 for never.
	Publish time.Duration
}

// DefaultSchedule rotates every 24 hours (5/SECURE-TRANSPORT, Bundle
// Retrieval), keeps replaced prekeys 14 days, signs again every hour and
// publishes every 6 hours, as deployed.
func DefaultSchedule() Schedule {
	return Schedule{Rotate: 24 * time.Hour, Keep: 14 * 24 * time.Hour, Refresh: time.Hour, Publish: 6 * time.Hour}
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
// ErrCorrupt if its private half is another key's: as it was read nobody has looked
// at that.
func (p PreKeys) Find(public x3dh.PreKeyPublic) (*Found, error) {
	i := slices.IndexFunc(p, func(k PreKey) bool { return k.Key.Public() == public })
	if i < 0 {
		return nil, nil
	}
	if err := p[i].check(); err != nil {
		return nil, err
	}
	return &Found{PreKey: p[i], Newer: p[i+1:].Usable()}, nil
}

// check tells with ErrCorrupt that the key's halves do not belong together.
func (k *PreKey) check() error {
	if err := k.Key.Check(); err != nil {
		return fmt.Errorf("%w: prekey %d: %w", ErrCorrupt, k.Version, err)
	}
	return nil
}

// Usable are the public halves of all of them, oldest first.
func (p PreKeys) Usable() []x3dh.PreKeyPublic {
	var out []x3dh.PreKeyPublic
	for i := range p {
		out = append(out, p[i].Key.Public())
	}
	return out
}

func (k *PreKey) rotates(s Schedule, now int64) bool { return now-k.Created >= int64(s.Rotate) }

// gone tells whether the private half was kept long enough.
func (k *PreKey) gone(s Schedule, now int64) bool {
	return k.Expired != 0 && now-k.Expired >= int64(s.Keep)
}

// Change is what has to be committed with a new State.
type Change struct {
	Put  []PreKey
	Drop []PreKey
	// Publication is set if anything but prekeys changed.
	Publication bool
}

// Empty tells whether there is nothing to commit.
func (c Change) Empty() bool { return len(c.Put)+len(c.Drop) == 0 && !c.Publication }

// rotate makes a new signed prekey if there is none or the current one is due or
// has ended, and drops those that were kept long enough after their end. Versions
// only grow. Times later than now become now: else what a clock that was wrong
// has stamped would be kept for too long.
func (p PreKeys) rotate(s Schedule, now int64, rand io.Reader) (PreKeys, Change, error) {
	next, touched := p.until(now)
	if current, ok := next.Current(); !ok || current.Expired != 0 || current.rotates(s, now) {
		key, err := x3dh.GeneratePreKey(rand)
		if err != nil {
			return p, Change{}, err
		}
		if ok && current.Expired == 0 {
			next[len(next)-1].Expired = now
			touched[len(next)-1] = true
		}
		next = append(next, PreKey{Key: key, Version: current.Version + 1, Created: now})
		touched = append(touched, true)
	}
	kept, change := next.keep(touched, s, now)
	return kept, change, nil
}

// retire ends the current prekey without a next one, and drops those that were
// kept long enough.
func (p PreKeys) retire(s Schedule, now int64) (PreKeys, Change) {
	next, touched := p.until(now)
	if last := len(next) - 1; last >= 0 && next[last].Expired == 0 {
		next[last].Expired, touched[last] = now, true
	}
	return next.keep(touched, s, now)
}

// until is a copy without times that are later than now, and which those were.
func (p PreKeys) until(now int64) (next PreKeys, touched []bool) {
	next, touched = slices.Clone(p), make([]bool, len(p), len(p)+1)
	for i := range next {
		k := &next[i]
		touched[i] = k.Created > now || k.Expired > now
		k.Created, k.Expired = min(k.Created, now), min(k.Expired, now)
	}
	return next, touched
}

// keep drops those that were kept long enough, and tells what has changed.
func (p PreKeys) keep(touched []bool, s Schedule, now int64) (PreKeys, Change) {
	var change Change
	kept := p[:0:0]
	for i, k := range p {
		switch {
		case k.gone(s, now):
			change.Drop = append(change.Drop, k)
			continue
		case touched[i]:
			change.Put = append(change.Put, k)
		}
		kept = append(kept, k)
	}
	return kept, change
}
