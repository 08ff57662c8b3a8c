package rookery

import (
	"os"

	"github.com/rookery-im/rookery/persistence/keyring"
)

// Protector opens the keys that a store is sealed with.
type Protector = keyring.Protector

// Passphrase protects a store with a passphrase (Argon2id).
func Passphrase(text string) Protector { return keyring.Passphrase(text) }

// KeyFile protects a store with a file of 32 random bytes in hexadecimal, which
// only its user may read. It is made with the store if it does not exist. Keep
// it on another disk than the store, or it protects from nobody who has both.
func KeyFile(path string) Protector { return keyring.KeyFile(path) }

// KeyFromEnvironment takes the protector from ROOKERY_PASSPHRASE or from
// ROOKERY_KEY_FILE, whichever is set.
func KeyFromEnvironment() (Protector, error) { return keyring.FromEnvironment(os.LookupEnv) }
