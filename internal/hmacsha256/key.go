package hmacsha256

import (
	"fmt"
	"io"
	"log/slog"
)

const (
	// Size is the length of keys and of sums, in bytes.
	Size      = 32
	blockSize = 64
)

const (
	innerPad = 0x36
	outerPad = 0x5c
)

const redacted = "[secret]"

// Key is a key made ready by Init or Extract: whoever reads it can sign, so it
// is as secret as the key and has to be wiped by its holder. The zero value is
// not a valid key.
type Key struct {
	_ [0]func() // == would not run in constant time
	// What the hashes begin with: their states after the padded key or, on the
	// portable path, the part of the padded key that the key fills.
	inner, outer [Size]byte
}

// Init makes k ready to sign under key, which is not kept.
func (k *Key) Init(key *[Size]byte) { k.init(key) }

// Sum writes the HMAC of the parts, one behind the other, to out. The parts
// may be of any length and number; none may overlap out.
func (k *Key) Sum(out *[Size]byte, parts ...[]byte) { k.sum(out, parts) }

// SumPair writes the HMAC of the one byte a to outA, and that of b to outB.
func (k *Key) SumPair(outA, outB *[Size]byte, a, b byte) { k.sumPair(outA, outB, a, b) }

// Wipe overwrites the key with zeros.
func (k *Key) Wipe() {
	clear(k.inner[:])
	clear(k.outer[:])
}

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
