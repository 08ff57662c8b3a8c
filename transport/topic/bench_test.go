package topic

import (
	"strings"
	"testing"
)

func BenchmarkDeriveKey(b *testing.B) {
	name, err := PublicChat(strings.Repeat("a", 64))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := DeriveKey(name); err != nil {
			b.Fatal(err)
		}
	}
}

// A key in memory: what each received message costs.
func BenchmarkGet(b *testing.B) {
	name, err := PublicChat(strings.Repeat("a", 145))
	if err != nil {
		b.Fatal(err)
	}
	k := newKeys(newShelf(), Options{}, derived)
	defer k.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Get(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
}
