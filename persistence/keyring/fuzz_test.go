package keyring

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
)

// Whatever the cell holds, it is the keyring that was sealed under the key, or
// one of three refusals, and its header is read as it was written.
func FuzzKeyring(f *testing.F) {
	good, key := fuzzValue(f)
	f.Add(good)
	f.Add(good[:headerBytes+nonceBytes])
	f.Add(good[:9])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		h, err := decodeHeader(value)
		if err != nil {
			if !errors.Is(err, persistence.ErrCorrupt) && !errors.Is(err, persistence.ErrNewerFormat) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(h.encode(), value[:headerBytes]) || h.memory > maxMemory || h.passes > maxPasses {
			t.Fatalf("%x is read as %+v", value[:headerBytes], h)
		}
		if _, err := unseal(value, &key); err == nil && !bytes.Equal(value, good) {
			t.Fatal("opened what was not sealed")
		} else if err != nil && !errors.Is(err, ErrWrongKey) && !errors.Is(err, persistence.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// Whatever is read as content is written as the same bytes.
func FuzzKeyringContent(f *testing.F) {
	good, key := fuzzValue(f)
	c, err := unseal(good, &key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.encode())
	f.Add(c.encode()[:fixedBytes])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeContent(b)
		if err != nil {
			if !errors.Is(err, persistence.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(c.encode(), b) {
			t.Fatalf("%x was written as %x", b, c.encode())
		}
	})
}

// fuzzValue is a value and the key that it is sealed under.
func fuzzValue(f *testing.F) ([]byte, secret.Key) {
	f.Helper()
	p := newKeyFile(f)
	value := sampleValue(f, p)
	h, err := decodeHeader(value)
	if err != nil {
		f.Fatal(err)
	}
	key, err := p.unlock(h)
	if err != nil {
		f.Fatal(err)
	}
	return value, key
}
