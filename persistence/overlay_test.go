package persistence

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The index of what is in flight finds what a look at everything finds, whatever comes
// and goes in whatever order.
func TestOverlayFindsEveryPrefixAsALookAtAllDoes(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	part := func() []byte { return []byte{"abc"[random.IntN(3)]}[:random.IntN(2)] }
	newName := func(most int) Name {
		kinds := []Kind{KindContact, KindSession, KindPrekey}
		parts := make([][]byte, random.IntN(most+1))
		for i := range parts {
			parts[i] = part()
		}
		return NewName(kinds[random.IntN(len(kinds))], parts...)
	}
	o := newOverlay()
	var underWay []*commit
	for step := range 20_000 {
		if random.IntN(2) == 0 && len(underWay) < 30 {
			var records []Record
			for range 1 + random.IntN(9) {
				records = append(records, Record{Name: newName(4), Value: []byte{byte(step)}})
			}
			one := newCommit(nil, records, nil)
			o.add(one)
			underWay = append(underWay, one)
		} else if len(underWay) > 0 {
			i := random.IntN(len(underWay))
			o.remove(underWay[i])
			underWay[i].release()
			underWay = slices.Delete(underWay, i, i+1)
		}
		prefix := newName(4)
		if random.IntN(4) == 0 {
			prefix = prefix[:random.IntN(len(prefix)+1)]
		}
		newest := make(map[Name]byte)
		for _, one := range underWay {
			for _, w := range one.writes {
				r := &w.record
				if strings.HasPrefix(string(r.Name), string(prefix)) {
					newest[r.Name] = r.Value[0]
				}
			}
		}
		found := o.below(prefix)
		if len(found) != len(newest) || o.any(prefix) != (len(newest) > 0) {
			t.Fatalf("seed %d, step %d: %d records below %q, want %d", seed, step, len(found), string(prefix), len(newest))
		}
		for i, r := range found {
			if newest[r.Name] != r.Value[0] || i > 0 && found[i-1].Name >= r.Name {
				t.Fatalf("seed %d, step %d: below %q: %v", seed, step, string(prefix), found)
			}
		}
	}
	for _, one := range underWay {
		o.remove(one)
	}
	if len(o.flights)+len(o.subjects) != 0 || *o.kinds != [256]int{} {
		t.Errorf("left over: %d flights, %d subjects", len(o.flights), len(o.subjects))
	}
}
