package rookery

import (
	"errors"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/account"
	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// What can go wrong, for errors.Is. Unless it says otherwise, nothing has changed
// and nothing has left the process.
var (
	// ErrOptions: the options do not fit together.
	ErrOptions = errors.New("rookery: options")
	// ErrClosed: the engine was closed.
	ErrClosed = errors.New("rookery: engine is closed")
	// ErrRetired: the installation has a successor, see Identity.Successor.
	ErrRetired = deviceactor.ErrRetired
	// ErrNotHosted: the engine hosts no such installation.
	ErrNotHosted = errors.New("rookery: identity is not hosted")
	// ErrDeleted: the installation was deleted, see Engine.DeleteIdentity.
	ErrDeleted = errors.New("rookery: identity was deleted")
	// ErrName: a name is at most MaxName bytes of printable text.
	ErrName = errors.New("rookery: name of an identity")
	// ErrIdentityExists: the engine hosts that installation already.
	ErrIdentityExists = errors.New("rookery: identity is hosted already")
	// ErrInstallationID: an installation id is 1 to 100 printable characters
	// and not "none".
	ErrInstallationID = errors.New("rookery: installation id")
	// ErrPrivateKey: an identity key is 32 bytes, above 0 and below the order of
	// the group.
	ErrPrivateKey = curve.ErrPrivateKey
	// ErrPublicKey: an identity is a point on the curve. Also the cause of a
	// Refused event.
	ErrPublicKey = x3dh.ErrKey
	// ErrPhrase: a phrase is not valid BIP-39.
	ErrPhrase = account.ErrPhrase
	// ErrPayloadSize: a payload is 1 byte to MaxPayload.
	ErrPayloadSize = errors.New("rookery: payload size")

	// ErrOverloaded: a bound on messages under way was reached; try later.
	ErrOverloaded = actors.ErrOverloaded
	// ErrNotDurable: the store failed. Whether the message is in it shows with
	// the next Open: it may still be sent.
	ErrNotDurable = deviceactor.ErrNotDurable
	// ErrNoTarget: the contact has no installation that a message may go to.
	ErrNoTarget = deviceactor.ErrNoTarget
	// ErrUnknownInstallation: the contact has no installation of that id.
	ErrUnknownInstallation = deviceactor.ErrUnknownInstallation
	// ErrTooManyInstallations: our identity has as many as it may. Also the
	// cause of a Refused event: one more of a contact than are kept.
	ErrTooManyInstallations = deviceactor.ErrTooManyInstallations
	// ErrBlocked: the contact is blocked, see Identity.Block. Also the cause of a
	// Refused event.
	ErrBlocked = deviceactor.ErrBlocked
	// ErrOwnIdentity: it is our own identity, which is no contact.
	ErrOwnIdentity = deviceactor.ErrOwnIdentity
	// ErrWithdrawn: the contact was forgotten before the transport has taken the
	// message.
	ErrWithdrawn = deviceactor.ErrWithdrawn
	// ErrUnsent: no network has taken the message for as long as Options.KeepUnsent
	// says, see Unsent.
	ErrUnsent = deviceactor.ErrUnsent
	// ErrNoRequest: the contact waits for no answer.
	ErrNoRequest = deviceactor.ErrNoRequest
	// ErrStalePreKey: the newest prekey known of an installation is older than
	// its owner keeps them. The contact's code is being followed from then on.
	ErrStalePreKey = sessionactor.ErrStalePreKey
	// ErrUntrustedBundle: a bundle was refused; the error says why.
	ErrUntrustedBundle = x3dh.ErrUntrustedBundle
	// ErrStoreFull: the disk has no room. Nothing is sent or taken in until it has
	// some; then the engine goes on by itself.
	ErrStoreFull = persistence.ErrFull
	// ErrStoreKey: it is not the passphrase or key file of the store.
	ErrStoreKey = keyring.ErrWrongKey
	// ErrStoreInUse: another process has the directory open.
	ErrStoreInUse = persistence.ErrLocked
	// ErrStoreCorrupt: what is on disk is not what was written.
	ErrStoreCorrupt = persistence.ErrCorrupt
)

// The causes of a Refused event, beside ErrUntrustedBundle.
var (
	// ErrMalformed: the message cannot be decoded.
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

// The causes of an Alarm.
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
