package cause

import (
	"errors"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// Why a call fails. Unless it says otherwise, nothing has changed and nothing has
// left the process.
var (
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
	// ErrSendKeyUsed: another payload was sent to the contact under that key.
	ErrSendKeyUsed = errors.New("rookery: another payload was sent under that key")
	// ErrLeaseOver: what direct sending rests on changed again and again while it
	// was prepared, or the clock is far off; try again.
	ErrLeaseOver = deviceactor.ErrLeaseOver
	// ErrUntrustedBundle: a bundle was refused; the error says why. Also the cause
	// of a Refused event.
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
