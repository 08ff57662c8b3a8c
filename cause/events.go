package cause

import (
	"errors"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
)

// Why a received message is Refused, beside ErrBlocked, ErrTooManyInstallations,
// ErrUntrustedBundle and rookery.ErrPublicKey. It has changed nothing.
var (
	// ErrMalformed: the message, or the bundle, cannot be decoded.
	ErrMalformed = errors.New("rookery: malformed message")
	// ErrForged: the message is not authentic under any session it could
	// belong to. A duplicate of long ago looks the same.
	ErrForged = ratchet.ErrMAC
	// ErrUnknownRatchetKey: it names a ratchet key that cannot be the next one:
	// nearly always a duplicate of a chain that is over.
	ErrUnknownRatchetKey = ratchet.ErrUnknownRatchetKey
	// ErrDuplicate: the message was decrypted before, or so long ago that its
	// key is gone.
	ErrDuplicate = ratchet.ErrMessageKeyGone
	// ErrReplayed: it is a DH-only message that came before.
	ErrReplayed = deviceactor.ErrReplayed
	// ErrTooManySkipped: it skips more messages than the limits allow.
	ErrTooManySkipped = ratchet.ErrTooManySkipped
	// ErrNoSession: no session fits it; its state was lost on one side.
	ErrNoSession = sessionactor.ErrNoSession
	// ErrUnknownPreKey: it starts a session with a signed prekey that is gone.
	ErrUnknownPreKey = sessionactor.ErrUnknownPreKey
	// ErrNotTargeted: its sender does not know this installation yet.
	ErrNotTargeted = deviceactor.ErrNotTargeted
	// ErrDenied: it is the first of an unknown identity, and those are denied.
	ErrDenied = deviceactor.ErrDenied
	// ErrNotApproved: it is a copy from an installation of our own identity that
	// was not approved; the installation is known by it now, its payload is dropped.
	ErrNotApproved = deviceactor.ErrNotApproved
	// ErrUnsupported: it is a kind of message that this layer does not have.
	ErrUnsupported = deviceactor.ErrUnsupported
	// ErrTooManySessions: its installation has started more sessions than are
	// kept or recognised.
	ErrTooManySessions = sessionactor.ErrTooManySessions
	// ErrHeaders: its headers are malformed or contradict each other.
	ErrHeaders = sessionactor.ErrHeader
)

// Why there is an Alarm. Nothing was refused.
var (
	// ErrEvicted: an installation that was sent to has lost its place to others
	// that were active since.
	ErrEvicted = deviceactor.ErrEvicted
	// ErrIgnored: a bundle names more new installations than are believed.
	ErrIgnored = deviceactor.ErrIgnored
	// ErrConflict: one installation signed two bundles at the same nanosecond.
	ErrConflict = deviceactor.ErrConflict
	// ErrDowngrade: a contact with sessions wrote outside of them.
	ErrDowngrade = deviceactor.ErrDowngrade
	// ErrCloned: two copies of one installation are at work.
	ErrCloned = sessionactor.ErrCloned
	// ErrCopyLost: our own other installations did not get a copy.
	ErrCopyLost = deviceactor.ErrCopyLost
)
