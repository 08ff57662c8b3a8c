package consttime

import (
	"math/rand/v2"
	"testing"

	"github.com/cloudflare/circl/dh/x25519"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
)

// An input of the operations on the curve is a scalar and 32 random bytes,
// which are the digest where something is signed.
const (
	digestSize = 32
	scalarSize = secret.KeySize + digestSize
)

// agreement computes a Diffie-Hellman result with one peer.
type agreement struct {
	key  curve.PrivateKey
	peer curve.PublicKey
	err  error
}

func (a *agreement) load(input []byte) { copy(a.key.Scalar.Bytes(), input) }

func (a *agreement) call() { _, a.err = a.key.DH(a.peer) }

func (a *agreement) right() bool { return a.err == nil }

// curve25519 computes a Diffie-Hellman result on the other curve, of which the
// scalar is a number after its clamping.
type curve25519 struct {
	peer, private, shared x25519.Key
	ok                    bool
}

func (c *curve25519) load(input []byte) { copy(c.private[:], input[:x25519.Size]) }

func (c *curve25519) call() { c.ok = x25519.Shared(&c.shared, &c.private, &c.peer) }

func (c *curve25519) right() bool { return c.ok }

// keyMaking computes a public key.
type keyMaking struct {
	scalar [secret.KeySize]byte
	err    error
}

func (k *keyMaking) load(input []byte) { copy(k.scalar[:], input) }

func (k *keyMaking) call() { _, k.err = curve.NewPrivateKey(k.scalar[:]) }

func (k *keyMaking) right() bool { return k.err == nil }

// signing signs a digest.
type signing struct {
	key    curve.PrivateKey
	digest [digestSize]byte
	err    error
}

func (s *signing) load(input []byte) {
	copy(s.key.Scalar.Bytes(), input)
	copy(s.digest[:], input[secret.KeySize:])
}

func (s *signing) call() { _, s.err = s.key.Sign(s.digest) }

func (s *signing) right() bool { return s.err == nil }

// randomScalar is below the order of the group but with probability 2^-128.
func randomScalar(input []byte, random *rand.ChaCha8) { _, _ = random.Read(input) }

// special scalars are those with which a shortcut would show: few bits set,
// the only one at either end, and a short number.
var special = []class{
	{"scalar 1", func(input []byte, random *rand.ChaCha8) {
		randomScalar(input, random)
		clear(input[:secret.KeySize])
		input[secret.KeySize-1] = 1
	}},
	{"scalar 2^255", func(input []byte, random *rand.ChaCha8) {
		randomScalar(input, random)
		clear(input[:secret.KeySize])
		input[0] = 0x80
	}},
	{"16 leading zero bytes", func(input []byte, random *rand.ChaCha8) {
		randomScalar(input, random)
		clear(input[:16])
	}},
}

func againstRandomScalars(name string, op operation) (rows []comparison) {
	for _, c := range special {
		rows = append(rows, comparison{
			name: name, op: op, classes: [2]class{c, {"random scalar", randomScalar}},
			size: scalarSize, calls: 1, samples: *slowFlag,
		})
	}
	return rows
}

// T39: how long a shared secret takes to compute says nothing about our key.
func TestDiffieHellmanTellsNothingOfTheScalar(t *testing.T) {
	peer, err := curve.NewPrivateKey([]byte("a private key of the other side."))
	if err != nil {
		t.Fatal(err)
	}
	mustNotLeak(t, againstRandomScalars("Diffie-Hellman", &agreement{peer: peer.Public()})...)
}

// T39: the same on Curve25519.
func TestX25519TellsNothingOfTheScalar(t *testing.T) {
	c := &curve25519{}
	private := x25519.Key([]byte("a private key of the other side."))
	x25519.KeyGen(&c.peer, &private)
	mustNotLeak(t, againstRandomScalars("X25519", c)...)
}

// T39: how long a public key takes to compute says nothing about the private
// one.
func TestMakingAKeyTellsNothingOfTheScalar(t *testing.T) {
	mustNotLeak(t, againstRandomScalars("public key", &keyMaking{})...)
}

// T39: how long a signature takes to make says nothing about the key.
func TestSigningTellsNothingOfTheScalar(t *testing.T) {
	mustNotLeak(t, againstRandomScalars("signature", &signing{})...)
}
