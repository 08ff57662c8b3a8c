package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the length of a Key in bytes.
const KeySize = 32

// redacted stands wherever a secret would have been printed.
const redacted = "[secret]"

// ErrKeySize reports key material that is not KeySize bytes long.
var ErrKeySize = errors.New("secret: key material is not 32 bytes")

// Key is 32 bytes of key material. The zero value is the all-zero key, which
// is never valid key material (see IsZero). A Key is a plain value: copying it
// copies the secret, and each copy has to be wiped by its holder. Not safe for
// concurrent use while one goroutine wipes it.
type Key struct {
	_ [0]func() // == would not run in constant time
	b [KeySize]byte
}

// NewKey copies 32 bytes into a Key. Any other length gives ErrKeySize.
func NewKey(b []byte) (Key, error) {
	var k Key
	if len(b) != KeySize {
		return k, ErrKeySize
	}
	copy(k.b[:], b)
	return k, nil
}

// KeyOf wraps an array of key material.
func KeyOf(b [KeySize]byte) Key { return Key{b: b} }

// ReadKey reads 32 bytes from rand. A short or failing reader gives an error
// and the zero Key, never a partly filled one.
func ReadKey(rand io.Reader) (Key, error) {
	var k Key
	if _, err := io.ReadFull(rand, k.b[:]); err != nil {
		k.Wipe()
		return k, fmt.Errorf("secret: read randomness: %w", err)
	}
	return k, nil
}

// Bytes gives the key material itself, not a copy: it must not be kept, logged
// or changed by the caller.
func (k *Key) Bytes() []byte { return k.b[:] }

// Array gives a copy of the key material.
func (k *Key) Array() [KeySize]byte { return k.b }

// Equal compares two keys in constant time.
func (k *Key) Equal(other *Key) bool {
	return subtle.ConstantTimeCompare(k.b[:], other.b[:]) == 1
}

// IsZero tells in constant time whether every byte is zero.
func (k *Key) IsZero() bool {
	var zero Key
	return k.Equal(&zero)
}

// Wipe overwrites the key material with zeros.
func (k *Key) Wipe() { clear(k.b[:]) }

// String implements fmt.Stringer without the secret.
func (k Key) String() string { return redacted }

// GoString implements fmt.GoStringer without the secret.
func (k Key) GoString() string { return redacted }

// Format implements fmt.Formatter so that no verb, %x included, prints the
// secret.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer without the secret.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler (and so JSON) without the
// secret.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
