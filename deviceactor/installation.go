package deviceactor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

var (
	// ErrUnknownInstallation: the contact has no installation of that id.
	ErrUnknownInstallation = errors.New("deviceactor: unknown installation")
	// ErrTooManyInstallations: one more installation of the contact than are
	// kept, or than may be approved of our own identity.
	ErrTooManyInstallations = errors.New("deviceactor: too many installations")
)

// The causes of an Alarm about installations.
var (
	// ErrEvicted: an installation that was sent to has lost its place to others
	// that were active since. Ask the contact whether those are theirs.
	ErrEvicted = errors.New("deviceactor: installation pushed out by others")
	// ErrIgnored: a bundle names more new installations than are believed in a
	// day, or kept at all; the rest was ignored.
	ErrIgnored = errors.New("deviceactor: too many new installations, ignored")
	// ErrConflict: one installation has signed two bundles at the same
	// nanosecond with different prekeys: there are two copies of it, or
	// somebody else has the identity key.
	ErrConflict = errors.New("deviceactor: contradicting bundles of one installation")
)

const (
	// maxInstallations bounds what is kept of one contact. Bundles name a
	// handful.
	maxInstallations = 64
	// maxNewInstallations is how many new ones of a contact are believed within
	// newWindow. Deployed identities have three in all (T33).
	maxNewInstallations = 8
	newWindow           = int64(24 * time.Hour)
	// staleAfter is how long an installation may stay omitted before nothing is
	// sent to it any more (ns). Silence alone never does that.
	staleAfter = int64(7 * 24 * time.Hour)
	// activeEvery is how often it is noted that an installation is heard of (ns): a
	// record less for most messages.
	activeEvery = int64(time.Minute)
)

// Installation is one device of a contact.
type Installation struct {
	ID              string
	Entry           sessionactor.Entry
	ProtocolVersion uint32
	// Enabled installations are sent to. Those of others are enabled at once
	// unless the DevicePolicy says otherwise, our own only when the user
	// approves them.
	Enabled bool
	// Denied ones are not enabled since the user said so. Those that are neither wait
	// for the user's decision.
	Denied bool
	// Active is when its last authenticated message arrived (ns), 0 if none
	// has; messages that follow within a minute are not told apart, unless there
	// are more installations than are sent to. Being named by somebody else's
	// bundle is no activity, so that a device that was only announced never takes
	// the place of one that talks.
	Active    int64
	FirstSeen int64 // ns
	// Signed is when the newest bundle that came from the installation itself
	// was signed (ns), 0 if none has; that of Entry may be a sibling's.
	Signed int64
	// Bundle is a hash of that bundle; zero if it was taken before hashes were kept.
	Bundle BundleHash
	// OmittedSince is when a newer bundle of the identity left the installation
	// out (ns); 0 again as soon as a newer one comes from the installation itself.
	OmittedSince int64
	// Stale is set when the application was told that the installation is
	// stale; whether it is one is a matter of OmittedSince and the time.
	Stale bool
	// Session is the one that was in use when it was last written to or heard of,
	// where sessionactor.Load begins; zero if there was none.
	Session sessionactor.ID
}

// Waits tells whether the user has to decide about it.
func (in *Installation) Waits() bool { return !in.Enabled && !in.Denied }

// stale tells whether the installation has been left out of the identity's
// bundles for 7 days without a bundle of its own.
func (in *Installation) stale(now int64) bool {
	return in.OmittedSince != 0 && passed(in.OmittedSince, now, staleAfter)
}

// BundleHash is the SHA-256 of an encoded bundle, its signature included.
type BundleHash [sha256.Size]byte

// String gives the hash in hexadecimal.
func (h BundleHash) String() string { return hex.EncodeToString(h[:]) }

func hashBundle(b *wire.Bundle) BundleHash { return sha256.Sum256(wire.EncodeBundle(*b)) }

// Verified tells whether a bundle is one that was taken before, from the installation
// that it is known by: x3dh.CheckBundle has accepted it, and need not see it again.
func (c *Contact) Verified(b *wire.Bundle) bool {
	var hash BundleHash
	for i := range c.Installations {
		known := &c.Installations[i]
		if known.Signed != b.Timestamp || known.Bundle == (BundleHash{}) {
			continue
		}
		if hash == (BundleHash{}) {
			hash = hashBundle(b)
		}
		if known.Bundle == hash {
			return true
		}
	}
	return false
}

// TakeBundle merges a bundle that x3dh.CheckBundle accepted, of this contact's
// identity. sender is the installation that sent it, "" if that is not known.
//
// For the sender's own entry the time of signing decides, so that a device that
// lost its state and counts versions anew is followed; for the others it takes a
// higher version too, since a sibling may sign a stale entry again (T32, newer). The
// hosted installation itself is never among the contact's.
func (c Contact) TakeBundle(v View, b *wire.Bundle, sender string, now int64) (Contact, Effects) {
	var e Effects
	before := c
	enabled, skip, ignored := c.enables(v), c.itself(v), 0
	if sender == "" && len(b.PreKeys) == 1 {
		sender = b.PreKeys[0].InstallationID
	}
	for i := range b.PreKeys {
		signed := &b.PreKeys[i]
		if signed.InstallationID == skip {
			continue
		}
		entry, itself := EntryOf(b, signed.InstallationID), signed.InstallationID == sender
		entry.BySibling = !itself
		was, ok := c.Find(signed.InstallationID)
		known := was
		switch {
		case !ok && !c.hasRoom(now):
			ignored++
			continue
		case !ok:
			known = Installation{ID: signed.InstallationID, Enabled: enabled, FirstSeen: now}
			known.Entry, known.ProtocolVersion = entry, signed.ProtocolVersion
			e.report(InstallationDiscovered{c.Identity, known.ID, known.Enabled})
		case (!itself || entry.Timestamp > known.Signed) && newer(entry, known.Entry):
			known.Entry = entry
			known.ProtocolVersion = max(known.ProtocolVersion, signed.ProtocolVersion)
		case itself && known.contradicts(entry):
			e.report(Alarm{c.Identity, known.ID, ErrConflict})
		}
		if itself && b.Timestamp > known.Signed {
			known.Signed, known.OmittedSince, known.Bundle = b.Timestamp, 0, hashBundle(b)
		}
		if itself && b.Timestamp == known.Signed && known.Bundle == (BundleHash{}) && !known.contradicts(entry) {
			known.Bundle = hashBundle(b)
		}
		if known == was {
			continue
		}
		c = c.put(known)
		e.put(known)
	}
	if ignored > 0 {
		e.report(Alarm{c.Identity, sender, ErrIgnored})
	}
	if by, ok := before.Find(sender); !ok || b.Timestamp > by.Signed {
		next, omitted := c.omit(b, now) // an old bundle that comes again omits nobody
		c = next
		e.add(omitted)
	}
	c, aged := c.Age(now)
	e.add(aged)
	e.add(c.evicted(&before, v, now))
	return c, e
}

// hasRoom tells whether one more installation of the contact is believed.
func (c *Contact) hasRoom(now int64) bool {
	fresh := 0
	for i := range c.Installations {
		if within(c.Installations[i].FirstSeen, now, newWindow) {
			fresh++
		}
	}
	return fresh < maxNewInstallations && len(c.Installations) < maxInstallations
}

// omit starts the timer of the installations that a newer bundle leaves out.
func (c Contact) omit(b *wire.Bundle, now int64) (Contact, Effects) {
	var e Effects
	for _, in := range c.Installations {
		named := slices.ContainsFunc(b.PreKeys, func(k wire.SignedPreKey) bool { return k.InstallationID == in.ID })
		if named || in.OmittedSince != 0 || b.Timestamp <= in.Entry.Timestamp {
			continue
		}
		in.OmittedSince = now
		c = c.put(in)
		e.put(in)
	}
	return c, e
}

// EntryOf is what the bundle says of one installation; zero if it is not named.
func EntryOf(b *wire.Bundle, installation string) sessionactor.Entry {
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

// contradicts tells whether the installation has signed another prekey at the
// same time.
func (in *Installation) contradicts(entry sessionactor.Entry) bool {
	return entry.Timestamp == in.Signed && !in.Entry.BySibling && entry.PreKey != in.Entry.PreKey
}

// newer tells whether an entry takes the place of the known one. That a sibling
// has signed later does not make what it names newer, unless the version says so
// too; and what it has signed later does not make what the installation itself
// says older.
func newer(entry, known sessionactor.Entry) bool {
	later := entry.Timestamp > known.Timestamp
	switch {
	case entry.BySibling:
		return later && entry.Version > known.Version
	case known.BySibling && entry.PreKey != known.PreKey:
		return later || entry.Timestamp == known.Timestamp || entry.Version > known.Version
	}
	return later
}

// heard notes an authenticated message of an installation. One that no bundle
// has named becomes known by it: it can be answered on the session it started.
func (c Contact) heard(v View, id string, now int64) (Contact, Effects) {
	var e Effects
	in, ok := c.Find(id)
	switch {
	case ok && in.Active == now:
		return c, e
	case ok && in.Active != 0 && within(in.Active, now, activeEvery) && len(c.Installations) <= c.cap(v) && len(c.apart) == 0:
		return c, e
	case !ok && len(c.Installations) >= maxInstallations:
		return c, e
	case !ok:
		in = Installation{ID: id, Enabled: c.enables(v), FirstSeen: now}
		e.report(InstallationDiscovered{c.Identity, in.ID, in.Enabled})
	}
	in.Active = now
	next := c.put(in)
	e.put(in)
	e.add(next.evicted(&c, v, now))
	return next, e
}

// uses notes which session with an installation is in use.
func (c Contact) uses(id string, session sessionactor.ID) (Contact, Effects) {
	var e Effects
	in, ok := c.Find(id)
	if !ok || in.Session == session || session == (sessionactor.ID{}) {
		return c, e
	}
	in.Session = session
	e.put(in)
	return c.put(in), e
}

// Enable notes the user's decision whether an installation is sent to. Of our own identity no
// more can be approved than the cap allows, this one included (5/ST, Pairing).
func (c Contact) Enable(v View, id string, enabled bool, now int64) (Contact, Effects, error) {
	var e Effects
	in, ok := c.Find(id)
	if !ok {
		return c, e, ErrUnknownInstallation
	}
	if in.Enabled == enabled && in.Denied != enabled {
		return c, e, nil
	}
	if enabled && c.own(v) && len(c.Targets(v, now)) >= c.cap(v) {
		return c, e, ErrTooManyInstallations
	}
	in.Enabled, in.Denied = enabled, !enabled
	e.put(in)
	e.report(InstallationEnabled{c.Identity, id, enabled})
	return c.put(in), e, nil
}
