package bundleactor

import (
	"cmp"
	"io"
	"slices"
	"time"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// protocolVersion is what deployed clients announce in every signed prekey.
const protocolVersion = 1

// forcedRotation is the age from which a prekey may be replaced because a peer
// has to start over.
const forcedRotation = time.Hour

// State is what a hosted installation has to remember: its prekeys and what it
// published. A plain value; steps return changed copies. Everything but the
// bundle's timestamp and the times of the prekeys is a reading of the clock
// (ns, at least 1), and the clock may be wrong, see Renew.
type State struct {
	Keys PreKeys
	// Bundle is what was signed last; without prekeys if nothing was.
	Bundle wire.Bundle
	// Signed is when that was.
	Signed int64
	// Doubted is since when the clock contradicts Bundle.Timestamp so much that
	// it is not believed, 0 if it is.
	Doubted int64
	// Changed is since when the bundle has other prekeys than were announced, 0
	// if it has those.
	Changed int64
	// Announced is when a network has last taken the bundle for everybody, 0 if never.
	Announced int64
}

// Installation is the hosted installation that a State belongs to: what never
// changes about it.
type Installation struct {
	Identity *x3dh.IdentityKey
	ID       string
	Schedule Schedule
}

// Reason is why a State is renewed.
type Reason uint8

const (
	// Swept: nobody asked. Prekeys are replaced and destroyed when their time
	// has come, but an unchanged bundle is not signed again, and an
	// installation without prekeys gets none.
	Swept Reason = iota
	// Asked: the bundle is about to be shown to somebody.
	Asked
	// Announced: the bundle is about to be published for everybody, by who counts
	// that as done. Others publish it as Asked, see Taken.
	Announced
	// Forced: a peer has to start over, and nobody does that on a prekey it has
	// already. A prekey that is an hour old is replaced; a younger one is new
	// enough, so that strangers cannot have prekeys made at will.
	Forced
)

// Sibling is an enabled other installation of our identity with its newest
// signed prekey: it stands in our bundle, so that contacts learn of it.
type Sibling struct {
	InstallationID  string
	Key             x3dh.PreKeyPublic
	Version         uint32
	ProtocolVersion uint32
}

// Renew does what is due at the time now (ns): it makes the first prekey or the
// next one, destroys those that were kept long enough, and signs the bundle
// anew if its prekeys or siblings changed or its signature is due for refresh;
// else the signed bundle stays. The change has to be durable before the bundle
// is shown; an empty change changed nothing. On error the state is as before.
//
// Timestamps only grow, wherever the clock goes, with one exception: timestamps
// more than a day ahead of a clock that has since run for 24 hours are taken as
// the work of a wrong clock, which nobody else believed either; then the bundle
// goes back to that clock, and so do the prekeys' times. Until then
// Published.Doubted says that the two contradict each other.
//
// Errors: ErrClock; ErrCorrupt of a stored prekey whose public half is another
// key's; those of the source of randomness.
func (s State) Renew(by Installation, siblings []Sibling, why Reason, now int64, rand io.Reader) (State, Change, error) {
	now = max(now, 1) // before 1970 is as wrong as 1970
	if _, ok := s.Keys.Current(); !ok && why == Swept {
		return s, Change{}, nil
	}
	at, doubted, err := s.clock(now)
	if err != nil {
		return s, Change{}, err
	}
	schedule := by.Schedule
	if why == Forced {
		schedule.Rotate = min(schedule.Rotate, forcedRotation)
	}
	keys, change, err := s.Keys.rotate(schedule, at, rand)
	if err != nil {
		return s, Change{}, err
	}
	next := s
	next.Keys = keys
	current := &keys[len(keys)-1]
	entries := entriesOf(current.entry(by.ID), siblings)
	changed := !slices.Equal(entries, s.Bundle.PreKeys)
	due := !s.Published(schedule).Good(now) && (why != Swept || doubted != 0)
	if changed || due || doubted != s.Doubted {
		if err := current.check(); err != nil {
			return s, Change{}, err
		}
		next.Bundle = wire.Bundle{PreKeys: entries, Timestamp: at}
		if err := x3dh.SignBundle(by.Identity, &next.Bundle); err != nil {
			return s, Change{}, err
		}
		next.Signed, next.Doubted = now, doubted
		change.Publication = true
	}
	switch {
	case why == Announced:
		next.Announced, next.Changed = now, 0
		change.Publication = true
	case changed && s.Changed == 0:
		next.Changed = now
	}
	return next, change, nil
}

// Taken notes that a network has taken a bundle of ours at the time now (ns). What has
// changed in it since is still to be published.
func (s State) Taken(published *wire.Bundle, now int64) (State, Change) {
	next := s
	next.Announced = max(now, 1)
	if slices.Equal(published.PreKeys, s.Bundle.PreKeys) {
		next.Changed = 0
	}
	return next, Change{Publication: true}
}

// Retire is the step of an installation that has a successor: it shows no bundle
// any more. Its last prekey is kept like one that was replaced, for the initial
// messages that are still under way. now and the change are as in Renew.
func (s State) Retire(schedule Schedule, now int64) (State, Change) {
	next := s
	var change Change
	next.Keys, change = s.Keys.retire(schedule, max(now, 1))
	return next, change
}

// Published gives the bundle as it is shown. A doubted clock is read at least
// every hour, also if nothing else is due.
func (s State) Published(schedule Schedule) Published {
	p := Published{Bundle: s.Bundle, Since: s.Signed, Doubted: s.Doubted != 0}
	if p.Doubted {
		p.Until = after(s.Signed, min(schedule.Refresh, time.Hour))
		return p
	}
	p.Until = after(s.Signed, schedule.Refresh)
	if current, ok := s.Keys.Current(); ok {
		p.Until = min(p.Until, after(current.Created, schedule.Rotate))
	}
	return p
}

// publishedAsRead is Published of a state without its prekeys, of which the one in the
// bundle was made at that time. It is none if only the prekeys can tell, or if the
// bundle does not name these siblings.
func (s State) publishedAsRead(made int64, schedule Schedule, installation string, siblings []Sibling) (Published, bool) {
	own := slices.IndexFunc(s.Bundle.PreKeys, func(k wire.SignedPreKey) bool { return k.InstallationID == installation })
	if made == 0 || s.Doubted != 0 || own < 0 || !slices.Equal(entriesOf(s.Bundle.PreKeys[own], siblings), s.Bundle.PreKeys) {
		return Published{}, false
	}
	p := s.Published(schedule)
	p.Until = min(p.Until, after(made, schedule.Rotate))
	return p, true
}

// entry is how the prekey stands in our bundle.
func (k *PreKey) entry(installation string) wire.SignedPreKey {
	return wire.SignedPreKey{
		InstallationID:  installation,
		Key:             wire.PublicKey(k.Key.Public()),
		Version:         k.Version,
		ProtocolVersion: protocolVersion,
	}
}

// entriesOf are our own entry and those of the siblings, in the order of their
// installation ids.
func entriesOf(own wire.SignedPreKey, siblings []Sibling) []wire.SignedPreKey {
	out := make([]wire.SignedPreKey, 0, 1+len(siblings))
	out = append(out, own)
	for _, s := range siblings {
		out = append(out, wire.SignedPreKey{
			InstallationID:  s.InstallationID,
			Key:             wire.PublicKey(s.Key),
			Version:         s.Version,
			ProtocolVersion: s.ProtocolVersion,
		})
	}
	slices.SortFunc(out, func(a, b wire.SignedPreKey) int { return cmp.Compare(a.InstallationID, b.InstallationID) })
	return out
}
