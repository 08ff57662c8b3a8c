package memory

import (
	"slices"
	"time"
)

// fate draws numbers for one event. It is splitmix64: small, and the same in each
// version of Go.
type fate uint64

// fateOf is that of an event, which is told from all others by its numbers.
func fateOf(seed uint64, numbers ...uint64) fate {
	f := fate(seed)
	for _, number := range numbers {
		f = fate(f.draw() ^ number)
	}
	return f
}

func (f *fate) draw() uint64 {
	*f += 0x9e3779b97f4a7c15
	z := uint64(*f)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hits tells whether something happens that has this probability.
func (f *fate) hits(probability float64) bool {
	return float64(f.draw()>>11)/(1<<53) < probability
}

// below gives a number of 0 to n-1.
func (f *fate) below(n int) int {
	return int(f.draw() % uint64(n)) //nolint:gosec // n is positive
}

// upTo gives a duration of 0 to d.
func (f *fate) upTo(d time.Duration) time.Duration {
	return time.Duration(f.below(max(int(d), 1)))
}

// corrupt changes one byte of a copy.
func (f *fate) corrupt(payload []byte) []byte {
	payload = slices.Clone(payload)
	i, change := f.below(len(payload)), byte(f.draw()) //nolint:gosec // its last byte
	payload[i] ^= max(change, 1)
	return payload
}
