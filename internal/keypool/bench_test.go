package keypool

import (
	"crypto/rand"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
)

// BenchmarkGenerateKey compares a key that is drawn with one that is ready. To
// have always some ready the ring is filled with copies of one key, which counts
// too.
func BenchmarkGenerateKey(b *testing.B) {
	b.Run("drawn", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(each *testing.PB) {
			for each.Next() {
				if _, err := curve.GenerateKey(rand.Reader); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("ready", func(b *testing.B) {
		p := New(rand.Reader)
		key, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		refill := func() {
			p.making.Lock()
			defer p.making.Unlock()
			for p.ready() < capacity && p.add(&key) {
				continue
			}
		}
		b.ReportAllocs()
		b.RunParallel(func(each *testing.PB) {
			for each.Next() {
				for _, ok := p.TakeKey(); !ok; _, ok = p.TakeKey() {
					refill()
				}
			}
		})
	})
}
