package load

import (
	"errors"
	"slices"
	"testing"
)

// Each identity has exactly as many contacts as wanted, nobody twice, and pairs and
// contacts tell the same story from both ends.
func TestGraphGivesEverybodyTheSameNumberOfContacts(t *testing.T) {
	for _, g := range []Graph{
		{Ring, 2, 1}, {Ring, 3, 2}, {Ring, 4, 3}, {Ring, 5, 4}, {Ring, 6, 5}, {Ring, 10, 1}, {Ring, 10, 3}, {Ring, 11, 4}, {Ring, 100, 10}, {Star, 2, 1}, {Star, 9, 8},
	} {
		if err := g.Check(); err != nil {
			t.Errorf("%+v: %v", g, err)
			continue
		}
		contacts := make([][]int, g.Identities)
		for p := range g.Pairs() {
			a, b := g.Pair(p)
			if pair, turned, known := g.Find(a, b); !known || turned || pair != p {
				t.Errorf("%+v: pair %d of %d and %d is found as %d, %v, %v", g, p, a, b, pair, turned, known)
			}
			if pair, turned, known := g.Find(b, a); !known || !turned || pair != p {
				t.Errorf("%+v: pair %d of %d and %d, turned, is found as %d, %v, %v", g, p, a, b, pair, turned, known)
			}
			contacts[a], contacts[b] = append(contacts[a], b), append(contacts[b], a)
		}
		for i, of := range contacts {
			said := g.ContactsOf(i, nil)
			slices.Sort(of)
			slices.Sort(said)
			if !slices.Equal(of, said) || len(slices.Compact(of)) != len(said) || slices.Contains(said, i) {
				t.Errorf("%+v: identity %d has the contacts %v, and is said to have %v", g, i, of, said)
			}
			if g.Shape == Ring && len(said) != g.Contacts {
				t.Errorf("%+v: identity %d has %d contacts", g, i, len(said))
			}
			for other := range g.Identities {
				if _, _, known := g.Find(i, other); known != slices.Contains(said, other) {
					t.Errorf("%+v: %d finds %d: %v", g, i, other, known)
				}
			}
		}
	}
}

func TestGraphThatCannotBeIsRefused(t *testing.T) {
	for _, g := range []Graph{
		{"", 4, 2}, {Ring, 0, 1}, {Ring, 1, 1}, {Ring, -4, 2}, {Ring, 4, 0}, {Ring, 4, -1}, {Ring, 4, 4}, {Ring, 5, 3}, {Star, 4, 2}, {Ring, 1 << 40, 2}, {Ring, 1 << 20, 1<<20 - 1},
	} {
		if err := g.Check(); !errors.Is(err, ErrGraph) {
			t.Errorf("%+v: %v", g, err)
		}
	}
}
