package x3dh

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
)

// T19, T30: any bytes as a bundle at any time: no panic, and what is believed
// is signed by the identity it names and has one reading.
func FuzzCheckBundle(f *testing.F) {
	forEachVector(f, "verify_bundle", 54, func(v *vector) {
		f.Add(v.arg(f, "bundle"), int64(1729728000000000000))
	})
	for _, b := range []wire.Bundle{
		signed(f, noon, entryOf(f, uuidA, 1)),
		signed(f, noon, entryOf(f, uuidA, 1), entryOf(f, uuidB, 12), entryOf(f, uuidC, 4294967295)),
		signed(f, noon, entryOf(f, "1", 1)),
		signed(f, noon, entryOf(f, uuidA+"1"+uuidB, 11795226)),
		signed(f, 644013031427, entryOf(f, uuidA, 11795226)),
		signed(f, noon),
	} {
		f.Add(wire.EncodeBundle(b), int64(noon))
	}
	f.Fuzz(func(t *testing.T, encoded []byte, now int64) {
		b, err := wire.DecodeBundle(encoded)
		if err != nil {
			return
		}
		if err := CheckBundle(&b, now); err != nil {
			if !errors.Is(err, ErrUntrustedBundle) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if err := VerifySignature(&b); err != nil {
			t.Errorf("believed, but: %v", err)
		}
		if _, err := checkOneReading(&b, now); err != nil {
			t.Error(err)
		}
	})
}
