package consttime

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
)

const macSize = 32

// macCheck opens a message whose MAC is wrong.
type macCheck struct {
	key    secret.Key
	sealed []byte // as it was made
	wrong  []byte
	err    error
}

func newMACCheck(t *testing.T) *macCheck {
	t.Helper()
	m := &macCheck{key: secret.KeyOf([secret.KeySize]byte{0: 0x5a, 31: 0xa5})}
	var err error
	if m.sealed, err = ratchet.SealWith(&m.key, []byte("a message of thirty-two letters."), nil); err != nil {
		t.Fatal(err)
	}
	m.wrong = make([]byte, len(m.sealed))
	return m
}

func (m *macCheck) load(input []byte) { copy(m.wrong, input) }

func (m *macCheck) call() { _, m.err = ratchet.OpenWith(&m.key, m.wrong, nil) }

func (m *macCheck) right() bool { return errors.Is(m.err, ratchet.ErrMAC) }

// compare damages the MAC in its first and in its last byte.
func (m *macCheck) compare(name string, op operation) comparison {
	damage := func(at int) func([]byte, *rand.ChaCha8) {
		return func(input []byte, random *rand.ChaCha8) {
			copy(input, m.sealed)
			input[at] ^= 1 + byte(random.Uint64()%255)
		}
	}
	return comparison{
		name: name, op: op, size: len(m.sealed), calls: 1, samples: *fastFlag,
		classes: [2]class{
			{"first byte wrong", damage(len(m.sealed) - macSize)},
			{"last byte wrong", damage(len(m.sealed) - 1)},
		},
	}
}

// T39: how long a message is refused for does not tell how much of its MAC was
// right.
func TestMACCheckTellsNothing(t *testing.T) {
	m := newMACCheck(t)
	mustNotLeak(t, m.compare("MAC of a message", m))
}

// keyComparison compares two keys.
type keyComparison struct {
	a, b  secret.Key
	equal bool
}

func (k *keyComparison) load(input []byte) {
	copy(k.a.Bytes(), input[:secret.KeySize])
	copy(k.b.Bytes(), input[secret.KeySize:])
}

func (k *keyComparison) call() { k.equal = k.a.Equal(&k.b) }

func (k *keyComparison) right() bool { return k.equal == bytes.Equal(k.a.Bytes(), k.b.Bytes()) }

// Inputs of two halves that are random and equal but for one byte.
func equalHalves(input []byte, random *rand.ChaCha8) {
	half := len(input) / 2
	_, _ = random.Read(input[:half])
	copy(input[half:], input[:half])
}

func firstByteDiffers(input []byte, random *rand.ChaCha8) {
	equalHalves(input, random)
	input[len(input)/2] ^= 1 + byte(random.Uint64()%255)
}

func lastByteDiffers(input []byte, random *rand.ChaCha8) {
	equalHalves(input, random)
	input[len(input)-1] ^= 1 + byte(random.Uint64()%255)
}

var (
	equal       = class{"equal", equalHalves}
	firstByte   = class{"first byte differs", firstByteDiffers}
	lastByte    = class{"last byte differs", lastByteDiffers}
	keyContrast = [][2]class{{equal, firstByte}, {equal, lastByte}, {firstByte, lastByte}}
)

// T39: how long two keys are compared for tells neither whether they are equal
// nor where they differ.
func TestComparisonOfKeysTellsNothing(t *testing.T) {
	for _, classes := range keyContrast {
		mustNotLeak(t, comparison{
			name: "two keys", op: &keyComparison{}, classes: classes,
			size: 2 * secret.KeySize, calls: 64, samples: *fastFlag,
		})
	}
}
