package core

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"golang.org/x/crypto/sha3"

	"github.com/rookery-im/rookery/internal/aesctr"
	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/internal/hmacsha256"
)

// The names of what primitives stand beside.
const (
	standardWay       = "standard library"
	multiplicationWay = "multiplication"
)

// Primitives are what the floors are made of: the own ones beside those of the
// standard library, the curve's beside its multiplication.
func Primitives() []measure.Comparison {
	return []measure.Comparison{
		beside("compression", "SHA-256, 24 compressions one after the other", standardWay, func() (own, other func() error, err error) {
			f, err := newFloor()
			return func() error { f.compress(24); return nil }, func() error { f.sum(24); return nil }, err
		}),
		beside("hmac", "HMAC-SHA-256 of one byte", standardWay, macs),
		beside("aes-ctr-100", "AES-256-CTR, 100 B under a new key", standardWay, func() (own, other func() error, err error) {
			return streams(100)
		}),
		beside("aes-ctr-1024", "AES-256-CTR, 1 KiB under a new key", standardWay, func() (own, other func() error, err error) {
			return streams(1024)
		}),
		beside("keccak", "Keccak-256 of 96 B", "SHA-256 of 96 B", func() (own, other func() error, err error) {
			message := make([]byte, 96)
			var sum [32]byte
			own = func() error {
				h := sha3.NewLegacyKeccak256()
				h.Write(message)
				h.Sum(sum[:0])
				return nil
			}
			return own, func() error { sum = sha256.Sum256(message); return nil }, nil
		}),
		beside("key-pair", "key pair", multiplicationWay, onCurve(func(f *floor) error { f.baseMultiply(); return f.err })),
		beside("agreement", "agreement with a compressed key", multiplicationWay, onCurve(func(f *floor) error {
			_, err := f.key.DH(f.key.Pub)
			return err
		})),
		beside("sign", "signature", multiplicationWay, onCurve(func(f *floor) error {
			_, err := f.key.Sign(f.digest)
			return err
		})),
		beside("recover", "recovery of a signer", multiplicationWay, onCurve(func(f *floor) error { f.recoverSigner(); return f.err })),
		beside("randomness", "16 random bytes", "SHA-256, 1 compression", func() (own, other func() error, err error) {
			f, err := newFloor()
			var iv [16]byte
			return func() error { _, err := rand.Read(iv[:]); return err }, func() error { f.compress(1); return nil }, err
		}),
	}
}

// beside is a comparison with one other way.
func beside(id, title, with string, open func() (own, other func() error, err error)) measure.Comparison {
	return comparison(id, title, func() ([]measure.Way, error) {
		own, other, err := open()
		return []measure.Way{measure.Each(measure.Rookery, own), measure.Each(with, other)}, err
	})
}

func onCurve(op func(*floor) error) func() (own, other func() error, err error) {
	return func() (own, other func() error, err error) {
		f, err := newFloor()
		return func() error { return op(f) }, func() error { f.multiply(); return f.err }, err
	}
}

func macs() (own, other func() error, err error) {
	var key, sum [hmacsha256.Size]byte
	_, err = rand.Read(key[:])
	message := []byte{1}
	var k hmacsha256.Key
	own = func() error {
		k.Init(&key)
		k.Sum(&sum, message)
		return nil
	}
	other = func() error {
		mac := hmac.New(sha256.New, key[:])
		mac.Write(message)
		mac.Sum(sum[:0])
		return nil
	}
	return own, other, err
}

func streams(size int) (own, other func() error, err error) {
	var key [32]byte
	var iv [16]byte
	_, err1 := rand.Read(key[:])
	_, err2 := rand.Read(iv[:])
	from, to := make([]byte, size), make([]byte, size)
	own = func() error { aesctr.XORKeyStream(to, from, &key, &iv); return nil }
	other = func() error {
		block, err := aes.NewCipher(key[:])
		if err != nil {
			return err
		}
		cipher.NewCTR(block, iv[:]).XORKeyStream(to, from)
		return nil
	}
	return own, other, errors.Join(err1, err2)
}
