package x3dh

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
)

// T21: every bit of an encoded bundle. A change is noticed by the decoder or by
// the check; what remains is listed: protocol_version, which is not signed,
// and what a decoder may skip after a changed field number. Nothing else of
// the bundle may come out differently.
func TestEveryFlippedBitOfABundleIsRefused(t *testing.T) {
	for _, good := range []wire.Bundle{
		signed(t, noon, entryOf(t, uuidA, 1)),
		signed(t, noon, entryOf(t, uuidA, 128), entryOf(t, uuidB, 99999), entryOf(t, uuidC, 1<<31)),
		signed(t, noon, entryOf(t, "laptop", 3)),
	} {
		encoded := wire.EncodeBundle(good)
		refused, unsigned := 0, 0
		for bit := range 8 * len(encoded) {
			b := bytes.Clone(encoded)
			b[bit/8] ^= 1 << (bit % 8)
			got, err := wire.DecodeBundle(b)
			if err == nil {
				err = CheckBundle(&got, noon)
				if err != nil && !errors.Is(err, ErrUntrustedBundle) {
					t.Errorf("bit %d: refused with %v", bit, err)
				}
			}
			if err != nil {
				refused++
				continue
			}
			for i := range min(len(got.PreKeys), len(good.PreKeys)) {
				got.PreKeys[i].ProtocolVersion = good.PreKeys[i].ProtocolVersion
			}
			if !bytes.Equal(wire.EncodeBundle(got), encoded) {
				t.Errorf("bit %d of byte %d is accepted and changes what is signed", bit%8, bit/8)
			}
			unsigned++
		}
		// Of each entry: 7 bits of protocol_version's value (the eighth lengthens
		// it) and those of its tag that make it another unknown field.
		if most := 15 * len(good.PreKeys); unsigned > most || refused < 8*len(encoded)-most {
			t.Errorf("%d bits of %d make no difference, at most %d may", unsigned, 8*len(encoded), most)
		}
	}
}

// T21: cut at every length and continued with every byte.
func TestCutAndLengthenedBundlesAreRefused(t *testing.T) {
	encoded := wire.EncodeBundle(signed(t, noon, entryOf(t, uuidA, 1), entryOf(t, uuidB, 2)))
	for n := range encoded {
		b, err := wire.DecodeBundle(encoded[:n])
		if err == nil && CheckBundle(&b, noon) == nil {
			t.Errorf("the first %d bytes are believed", n)
		}
	}
	for c := range 256 {
		b, err := wire.DecodeBundle(append(bytes.Clone(encoded), byte(c)))
		if err == nil && CheckBundle(&b, noon) == nil {
			t.Errorf("with byte %02x after it, it is believed", c)
		}
	}
}

// Refusals say which entry is meant and nothing of its content.
func TestRefusalsOfBundlesShowNoContent(t *testing.T) {
	for _, b := range []wire.Bundle{
		signed(t, noon, entryOf(t, "secret name\n", 1)),
		signed(t, noon, entryOf(t, uuidA, 1), entryOf(t, "secret name", 1)),
	} {
		err := CheckBundle(&b, noon)
		if err == nil || bytes.Contains([]byte(err.Error()), []byte("secret name")) {
			t.Errorf("%v", err)
		}
		if want := fmt.Sprintf("of %d", len(b.PreKeys)); !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
