package deviceactor

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrUnknownInstallation: the contact has no installation of that id.
var ErrUnknownInstallation = errors.New("deviceactor: unknown installation")

// ErrReplayed: a DH-only message that was accepted before came again.
var ErrReplayed = errors.New("deviceactor: DH-only message seen before")

const (
	// maxInstallations bounds what is kept of one contact; installations named
	// beyond it are ignored. Bundles name a handful.
	maxInstallations = 64
	// maxSeen bounds the hashes of DH-only messages kept per contact. The
	// layer itself cannot tell a replay; a request is a few messages long.
	maxSeen = 64
)

// Installation is one device of a contact.
type Installation struct {
	ID              string
	Entry           sessionactor.Entry
	ProtocolVersion uint32
	// Enabled installations are sent to. Those of others are enabled at once,
	// our own only when the user approves them.
	Enabled bool
	// Active is when its last authenticated message arrived, or when it was
	// first seen (ns).
	Active int64
}

// Contact is what is known of one peer identity, or of our own other
// installations. It is a plain value; steps return changed copies.
type Contact struct {
	Identity       x3dh.IdentityPublicKey
	FirstSeen      int64 // ns, 0: not stored yet
	ForwardSecrecy bool
	Seen           [][sha256.Size]byte
	Installations  []Installation // sorted by ID
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

// Taken is what accepting a bundle or a message changed.
type Taken struct {
	Changed    []Installation // new ones included
	Discovered []Installation
}

// TakeBundle merges a bundle that x3dh.CheckBundle accepted, of this contact's
// identity. sender is the installation that sent it, "" if that is not known.
//
// For the sender's own entry the time of signing decides, so that a device that
// lost its state and counts versions anew is followed; for the others it takes a
// higher version too, since a sibling may sign a stale entry again (T32). skip is
// our own installation if the contact is ourselves, else "": never a target of
// its own; enabled says whether new ones need no approval.
func (c Contact) TakeBundle(b *wire.Bundle, sender, skip string, enabled bool, now int64) (Contact, Taken) {
	var taken Taken
	if sender == "" && len(b.PreKeys) == 1 {
		sender = b.PreKeys[0].InstallationID
	}
	for i := range b.PreKeys {
		signed := &b.PreKeys[i]
		if signed.InstallationID == skip {
			continue
		}
		entry := entryOf(b, signed.InstallationID)
		known, ok := c.Find(signed.InstallationID)
		switch {
		case !ok && len(c.Installations) >= maxInstallations:
			continue
		case !ok:
			known = Installation{ID: signed.InstallationID, Enabled: enabled, Active: now}
			known.Entry, known.ProtocolVersion = entry, signed.ProtocolVersion
			taken.Discovered = append(taken.Discovered, known)
		case !newer(entry, known.Entry, signed.InstallationID == sender):
			continue
		default:
			known.Entry = entry
			known.ProtocolVersion = max(known.ProtocolVersion, signed.ProtocolVersion)
		}
		c = c.put(known)
		taken.Changed = append(taken.Changed, known)
	}
	return c, taken
}

// entryOf is what the bundle says of one installation; zero if it is not named.
func entryOf(b *wire.Bundle, installation string) sessionactor.Entry {
	for i := range b.PreKeys {
		if signed := &b.PreKeys[i]; signed.InstallationID == installation {
			return sessionactor.Entry{
				PreKey:    x3dh.PreKeyPublic(signed.Key),
				Version:   signed.Version,
				Timestamp: b.Timestamp,
			}
		}
	}
	return sessionactor.Entry{}
}

func newer(entry, known sessionactor.Entry, fromItself bool) bool {
	return entry.Timestamp > known.Timestamp && (fromItself || entry.Version > known.Version)
}

// Heard notes an authenticated message of an installation. One that no bundle
// has named becomes known by it: it can be answered on the session it started.
func (c Contact) Heard(id string, enabled bool, now int64) (Contact, Taken) {
	in, ok := c.Find(id)
	switch {
	case ok && in.Active >= now:
		return c, Taken{}
	case ok:
		in.Active = now
		return c.put(in), Taken{Changed: []Installation{in}}
	case len(c.Installations) >= maxInstallations:
		return c, Taken{}
	}
	in = Installation{ID: id, Enabled: enabled, Active: now}
	found := []Installation{in}
	return c.put(in), Taken{Changed: found, Discovered: found}
}

// Enable changes whether an installation is sent to.
func (c Contact) Enable(id string, enabled bool) (Contact, Installation, error) {
	in, ok := c.Find(id)
	if !ok {
		return c, in, ErrUnknownInstallation
	}
	in.Enabled = enabled
	return c.put(in), in, nil
}

// Targets are the installations a message goes to: the enabled ones that were
// active last, at most n, in the order of their ids.
func (c *Contact) Targets(n int) []Installation {
	var out []Installation
	for _, in := range c.Installations {
		if in.Enabled {
			out = append(out, in)
		}
	}
	if len(out) > n {
		slices.SortStableFunc(out, func(a, b Installation) int { return cmp.Compare(b.Active, a.Active) })
		out = out[:n]
		slices.SortFunc(out, func(a, b Installation) int { return cmp.Compare(a.ID, b.ID) })
	}
	return out
}

// Remember notes a DH-only message by the hash of its content, or tells that
// it came before.
func (c Contact) Remember(hash [sha256.Size]byte) (Contact, error) {
	if slices.Contains(c.Seen, hash) {
		return c, ErrReplayed
	}
	seen := append(slices.Clone(c.Seen), hash)
	c.Seen = seen[max(0, len(seen)-maxSeen):]
	return c, nil
}
