package keyring

import "errors"

// What can be wrong, for errors.Is, besides fs.ErrNotExist and fs.ErrExist for
// the keyring itself and persistence.ErrCorrupt, ErrNewerFormat, ErrPermission
// and ErrClosed.
var (
	// ErrWrongKey: the passphrase or the key file is not the one that the keyring
	// is sealed with. (A keyring that was changed on purpose looks the same.)
	ErrWrongKey = errors.New("wrong passphrase or key file")
	// ErrKeyFile: the key file is missing or holds no key.
	ErrKeyFile = errors.New("key file cannot be used")
	// ErrEmptyPassphrase: nothing is sealed under an empty passphrase.
	ErrEmptyPassphrase = errors.New("the passphrase is empty")
	// ErrNoProtector: the environment has neither a passphrase nor a key file.
	ErrNoProtector = errors.New("neither " + PassphraseVariable + " nor " + KeyFileVariable + " is set")
	// ErrTwoProtectors: the environment has both, and it is not said which.
	ErrTwoProtectors = errors.New("both " + PassphraseVariable + " and " + KeyFileVariable + " are set")
	// ErrTooManyEpochs: the keyring is full, older epochs have to be retired first.
	ErrTooManyEpochs = errors.New("keyring has too many epochs")
	// ErrNoEpoch: the current epoch cannot be retired, nor what has not begun.
	ErrNoEpoch = errors.New("no such epoch to keep")
)
