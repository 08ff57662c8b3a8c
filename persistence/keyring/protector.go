package keyring

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/argon2"

	"github.com/rookery-im/rookery/internal/secret"
)

// The names of the environment variables that FromEnvironment reads.
const (
	PassphraseVariable = "ROOKERY_PASSPHRASE" //nolint:gosec // the name of one, not one
	KeyFileVariable    = "ROOKERY_KEY_FILE"
)

// What a new passphrase costs: about a tenth of a second.
const (
	argonMemory = 64 << 10 // KiB
	argonPasses = 3
	argonLanes  = 2
)

// keyFileLabel sets the key of a keyring apart from other uses of a key file.
const keyFileLabel = "rookery keyring"

// Protector is what opens a keyring: Passphrase or KeyFile. It prints without
// what is secret and may be used by any number of goroutines.
type Protector interface {
	// protect gives the header and the key for a keyring to be sealed.
	protect(random io.Reader) (header, secret.Key, error)
	// unlock gives the key for a keyring with this header. ErrWrongKey when it is
	// of the other kind.
	unlock(h header) (secret.Key, error)
}

// Passphrase protects by Argon2id over the bytes of text.
func Passphrase(text string) Protector {
	b := []byte(text)
	return &passphrase{text: &b}
}

// passphrase is behind two pointers: of a value in an unexported field fmt asks
// no method, and for a verb that pointers do not have it follows one of them.
type passphrase struct{ text *[]byte }

func (p *passphrase) protect(random io.Reader) (header, secret.Key, error) {
	if len(*p.text) == 0 {
		return header{}, secret.Key{}, ErrEmptyPassphrase
	}
	h := header{kind: kindPassphrase, lanes: argonLanes, memory: argonMemory, passes: argonPasses}
	if err := h.drawSalt(random); err != nil {
		return header{}, secret.Key{}, err
	}
	key, err := p.unlock(h)
	return h, key, err
}

func (p *passphrase) unlock(h header) (secret.Key, error) {
	if h.kind != kindPassphrase {
		return secret.Key{}, ErrWrongKey
	}
	return take(argon2.IDKey(*p.text, h.salt[:], h.passes, h.memory, h.lanes, secret.KeySize))
}

// Format prints no passphrase whatever the verb.
func (p *passphrase) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[passphrase]") }

// LogValue logs no passphrase.
func (p *passphrase) LogValue() slog.Value { return slog.StringValue("[passphrase]") }

// KeyFile protects by the key in a file: 64 hexadecimal digits on one line. A
// file that others than its user may reach is refused
// (persistence.ErrPermission). If there is none, the first Create or
// SetProtector makes it, private to its user; Open does not (ErrKeyFile).
func KeyFile(path string) Protector { return &keyFile{path: path} }

type keyFile struct{ path string }

func (p *keyFile) protect(random io.Reader) (header, secret.Key, error) {
	h := header{kind: kindKeyFile}
	if err := h.drawSalt(random); err != nil {
		return header{}, secret.Key{}, err
	}
	if err := makeKeyFile(p.path, random); err != nil {
		return header{}, secret.Key{}, err
	}
	key, err := p.unlock(h)
	return h, key, err
}

func (p *keyFile) unlock(h header) (secret.Key, error) {
	if h.kind != kindKeyFile {
		return secret.Key{}, ErrWrongKey
	}
	stored, err := readKeyFile(p.path)
	if err != nil {
		return secret.Key{}, err
	}
	defer stored.Wipe()
	derived, err := hkdf.Key(sha256.New, stored.Bytes(), h.salt[:], keyFileLabel, secret.KeySize)
	if err != nil {
		return secret.Key{}, fmt.Errorf("derive the key of a keyring: %w", err)
	}
	return take(derived)
}

// String names the file.
func (p *keyFile) String() string { return "[key file " + p.path + "]" }

// take makes a key of bytes that nobody else holds.
func take(b []byte) (secret.Key, error) {
	defer clear(b)
	return secret.NewKey(b)
}

// FromEnvironment gives the protector that the environment names (lookup is
// os.LookupEnv): ROOKERY_PASSPHRASE, or the path in ROOKERY_KEY_FILE. An empty
// variable counts as one that is not set. ErrNoProtector, ErrTwoProtectors.
func FromEnvironment(lookup func(string) (string, bool)) (Protector, error) {
	text, _ := lookup(PassphraseVariable)
	path, _ := lookup(KeyFileVariable)
	switch {
	case text != "" && path != "":
		return nil, ErrTwoProtectors
	case text != "":
		return Passphrase(text), nil
	case path != "":
		return KeyFile(path), nil
	}
	return nil, ErrNoProtector
}

// randomness reads into b, all of it or an error.
func randomness(random io.Reader, b []byte) error {
	if _, err := io.ReadFull(random, b); err != nil {
		clear(b)
		return fmt.Errorf("read randomness: %w", err)
	}
	return nil
}
