package ratchet

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/rookery-im/rookery/internal/aesctr"
)

// allocationsOfAES is what a key stream allocates: nothing with instructions for
// AES, else the round keys in one or two places.
func allocationsOfAES(size int) float64 {
	var key [keySize]byte
	var iv [ivSize]byte
	dst, src := make([]byte, size), make([]byte, size)
	return testing.AllocsPerRun(100, func() { aesctr.XORKeyStream(dst, src, &key, &iv) })
}

// The hot path allocates its output, and nothing else of its own.
func TestHotPathAllocations(t *testing.T) {
	for _, size := range []int{0, 100, 1024} {
		alice, bob := newPair(t, Secp256k1)
		payload := make([]byte, size)
		permitted := 1 + allocationsOfAES(size)
		var failed error
		encrypt := func() {
			_, _, err := alice.state.Encrypt(payload, nil, RandomIV, rand.Reader)
			failed = errors.Join(failed, err)
		}
		if n := testing.AllocsPerRun(100, encrypt); n > permitted {
			t.Errorf("%d bytes: encrypting allocates %v times", size, n)
		}
		alice.answer(t, bob) // so that no ratchet turn is in the way
		m := alice.send(t, payload)
		decrypt := func() {
			_, _, _, err := bob.state.Decrypt(bob.skipped, m, nil, bob.limits)
			failed = errors.Join(failed, err)
		}
		if n := testing.AllocsPerRun(100, decrypt); n > permitted {
			t.Errorf("%d bytes: decrypting allocates %v times", size, n)
		}
		if failed != nil {
			t.Errorf("%d bytes: %v", size, failed)
		}
	}
}
