package rookery

import (
	"errors"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/account"
	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/x3dh"
)

// What is wrong with a call itself, for errors.Is: nothing has changed and nothing
// has left the process. What contacts, messages, network and store have against it
// is in package cause.
var (
	// ErrOptions: the options do not fit together.
	ErrOptions = errors.New("rookery: options")
	// ErrClosed: the engine was closed, or the Direct.
	ErrClosed = errors.New("rookery: closed")
	// ErrRetired: the installation has a successor, see Identity.Successor.
	ErrRetired = deviceactor.ErrRetired
	// ErrNotHosted: the engine hosts no such installation.
	ErrNotHosted = errors.New("rookery: identity is not hosted")
	// ErrDeleted: the installation was deleted, see Engine.DeleteIdentity.
	ErrDeleted = errors.New("rookery: identity was deleted")
	// ErrIdentityExists: the engine hosts that installation already.
	ErrIdentityExists = errors.New("rookery: identity is hosted already")
	// ErrName: a name is at most MaxName bytes of printable text.
	ErrName = errors.New("rookery: name of an identity")
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
	// ErrSendKey: a key of SendOnce is 1 byte to MaxSendKey.
	ErrSendKey = errors.New("rookery: key of a message")
	// ErrChat: the name of a public chat is 1 to 100 bytes of UTF-8.
	ErrChat = errors.New("rookery: name of a public chat")
	// ErrContactCode: it is no contact code, or not all of one.
	ErrContactCode = errors.New("rookery: contact code")
	// ErrNewerContactCode: the contact code is of a version that this release does
	// not know.
	ErrNewerContactCode = errors.New("rookery: contact code of a newer version")
)
