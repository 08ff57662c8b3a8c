package envelope

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
)

// BenchmarkTrial is an envelope of 1 KiB on a topic that many identities share:
// what parsing it costs once, and each identity that it is not for, beside the
// multiplication that this comes to.
func BenchmarkTrial(b *testing.B) {
	wire, err := SealFor(seeded("trial"), someone(b, "bob").Public(), someone(b, "alice"), make([]byte, 1024))
	if err != nil {
		b.Fatal(err)
	}
	sealed, err := Parse(wire)
	if err != nil {
		b.Fatal(err)
	}
	bob, carol := someone(b, "bob"), someone(b, "carol")
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("wrong-key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sealed.Open(carol); !errors.Is(err, ErrDecrypt) {
				b.Fatal(err)
			}
		}
	})
	b.Run("multiplication", func(b *testing.B) {
		key, err := keyOf(carol)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := key.DHPoint(&sealed.point); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("right-key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sealed.Open(bob); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("recovery", func(b *testing.B) {
		key, err := keyOf(carol)
		if err != nil {
			b.Fatal(err)
		}
		digest := curve.Keccak256([]byte("digest"))
		sig, err := key.Sign(digest)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := curve.Recover(digest, sig); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSeal and BenchmarkOpen are for 1 KiB.
func BenchmarkSeal(b *testing.B) {
	alice, bob, key, data, source := someone(b, "alice"), someone(b, "bob").Public(), keyNamed("k"), make([]byte, 1024), seeded("seal")
	b.Run("symmetric", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := SealSymmetric(source, key, alice, data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("asymmetric", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := SealFor(source, bob, alice, data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpenSymmetric(b *testing.B) {
	key := keyNamed("k")
	wire, err := SealSymmetric(seeded("open"), key, someone(b, "alice"), make([]byte, 1024))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OpenSymmetric(key, wire); err != nil {
			b.Fatal(err)
		}
	}
}
