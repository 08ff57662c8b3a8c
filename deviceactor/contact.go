package deviceactor

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrReplayed: a DH-only message that was accepted before came again.
var ErrReplayed = errors.New("deviceactor: DH-only message seen before")

// maxSeen bounds the hashes of DH-only messages kept per contact. The layer
// itself cannot tell a replay; a request is a few messages long.
const maxSeen = 64

// Contact is what is known of one peer identity, or of our own other
// installations. It is a plain value; steps return changed copies.
type Contact struct {
	Identity       x3dh.IdentityPublicKey
	FirstSeen      int64 // ns, 0: not stored yet
	Standing       Standing
	Blocked        bool // by the user: nothing of it is looked at
	ForwardSecrecy bool
	Seen           [][sha256.Size]byte
	Installations  []Installation // sorted by ID
	// apart are the records of installations as older versions wrote them: the next
	// record of the contact takes their place.
	apart []persistence.Name
}

// Find gives the installation of that id.
func (c *Contact) Find(id string) (Installation, bool) {
	i, ok := slices.BinarySearchFunc(c.Installations, id, byID)
	if !ok {
		return Installation{}, false
	}
	return c.Installations[i], true
}

func byID(i Installation, id string) int { return cmp.Compare(i.ID, id) }

// put gives a contact with that installation added or replaced.
func (c Contact) put(in Installation) Contact {
	i, ok := slices.BinarySearchFunc(c.Installations, in.ID, byID)
	list := slices.Clone(c.Installations)
	if ok {
		list[i] = in
	} else {
		list = slices.Insert(list, i, in)
	}
	c.Installations = list
	return c
}

// AnyEnabled tells whether any installation is enabled: of our own identity,
// whether there is somebody to get copies.
func (c *Contact) AnyEnabled() bool {
	return slices.ContainsFunc(c.Installations, func(in Installation) bool { return in.Enabled })
}

// Siblings are, of our own identity, the installations that the user has
// approved, as they stand in our bundle.
func (c *Contact) Siblings() []bundleactor.Sibling {
	var out []bundleactor.Sibling
	for _, in := range c.Installations {
		if in.Enabled && !in.Entry.IsZero() {
			out = append(out, bundleactor.Sibling{
				InstallationID:  in.ID,
				Key:             in.Entry.PreKey,
				Version:         in.Entry.Version,
				ProtocolVersion: in.ProtocolVersion,
			})
		}
	}
	return out
}

// Targets are the installations a message goes to: of the enabled ones that are
// not stale those that were active last, as many as the cap allows, in the
// order of their ids. Among those that were never active the ones known longest
// come first. The list is not to be changed: mostly it is that of the contact.
func (c *Contact) Targets(v View, now int64) []Installation {
	out := c.Installations[:len(c.Installations):len(c.Installations)]
	stays := func(in *Installation) bool { return in.Enabled && !in.stale(now) }
	for i := range out {
		if !stays(&out[i]) {
			out = slices.DeleteFunc(slices.Clone(out), func(in Installation) bool { return !stays(&in) })
			break
		}
	}
	if n := c.cap(v); len(out) > n {
		out = slices.Clone(out)
		slices.SortStableFunc(out, func(a, b Installation) int {
			return cmp.Or(cmp.Compare(min(b.Active, now), min(a.Active, now)), cmp.Compare(a.FirstSeen, b.FirstSeen))
		})
		out = out[:max(0, n)]
		slices.SortFunc(out, func(a, b Installation) int { return cmp.Compare(a.ID, b.ID) })
	}
	return out
}

// Agreed tells whether all installations that messages may go to have shown that
// they read the topic which the two identities share: a message of theirs was
// read, and a bundle names their protocol version
// (54/WAKU2-X3DH-SESSIONS, Negotiated Topic).
func (c *Contact) Agreed(now int64) bool {
	agreed := false
	for i := range c.Installations {
		in := &c.Installations[i]
		if !in.Enabled || in.stale(now) {
			continue
		}
		if in.Active == 0 || in.ProtocolVersion == 0 {
			return false
		}
		agreed = true
	}
	return agreed
}

// evicted alarms of installations that were sent to before the step and lose
// their place to others, though nothing speaks against them (T34).
func (c *Contact) evicted(before *Contact, v View, now int64) Effects {
	var e Effects
	if len(c.Installations) <= c.cap(v) {
		return e // nobody needs to go
	}
	targets := c.Targets(v, now)
	for _, was := range before.Targets(v, now) {
		in, _ := c.Find(was.ID)
		still := slices.ContainsFunc(targets, func(t Installation) bool { return t.ID == was.ID })
		if in.Enabled && !in.stale(now) && !still {
			e.report(Alarm{c.Identity, was.ID, ErrEvicted})
		}
	}
	return e
}

// Age notes what the passing of time has done to the contact's installations.
// Times that are still to come, since a clock was ahead, become now: else dead
// installations would seem to have been active last for years. A clock that
// shows a time before there were bundles is the wrong one itself. It may be so
// now in any case: OmittedSince stays, or an installation would be stale as soon
// as the clock is set right.
func (c Contact) Age(now int64) (Contact, Effects) {
	var e Effects
	for _, was := range c.Installations {
		in := was
		if now >= x3dh.EarliestTimestamp {
			in.Active, in.FirstSeen = min(in.Active, now), min(in.FirstSeen, now)
		}
		if in != was {
			c = c.put(in)
			e.put(in)
		}
		if stale := in.stale(now); stale != in.Stale {
			in.Stale = stale
			c = c.put(in)
			e.put(in)
			e.report(InstallationStale{c.Identity, in.ID, stale})
		}
	}
	return c, e
}

// remember notes a DH-only message by the hash of its content, or tells that
// it came before.
func (c Contact) remember(hash [sha256.Size]byte) (Contact, error) {
	if slices.Contains(c.Seen, hash) {
		return c, ErrReplayed
	}
	seen := append(slices.Clone(c.Seen), hash)
	c.Seen = seen[max(0, len(seen)-maxSeen):]
	return c, nil
}
