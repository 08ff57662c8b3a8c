package load

import (
	"errors"
	"fmt"
)

// Shape is how the identities of a world know each other.
type Shape string

// The shapes of a world.
const (
	// Ring: each identity has the same number of contacts, those next to it on both
	// sides, and the one opposite if the number is odd.
	Ring Shape = "ring"
	// Star: the first identity knows all others, and they know nobody else.
	Star Shape = "star"
)

// ErrGraph: no world has so many identities with so many contacts.
var ErrGraph = errors.New("load: identities and contacts")

// MaxPairs is how many pairs a world may have.
const MaxPairs = 1 << 30

// Graph says who knows whom. Identities are numbered from 0, and so are pairs. It
// holds nothing but its measures, however many pairs there are.
type Graph struct {
	Shape      Shape `json:"shape"`
	Identities int   `json:"identities"`
	Contacts   int   `json:"contacts"` // of each; of a star: of the first
}

// Check refuses what is no graph: ErrGraph.
func (g Graph) Check() error {
	switch {
	case g.Shape != Ring && g.Shape != Star:
		return fmt.Errorf("%w: no shape %q", ErrGraph, g.Shape)
	case g.Identities < 2:
		return fmt.Errorf("%w: %d identities, at least 2 are needed to talk", ErrGraph, g.Identities)
	case g.Contacts < 1:
		return fmt.Errorf("%w: %d contacts, at least 1 is needed to talk to", ErrGraph, g.Contacts)
	case g.Contacts >= g.Identities:
		return fmt.Errorf("%w: %d contacts among %d identities, who have %d others", ErrGraph, g.Contacts, g.Identities, g.Identities-1)
	case g.Shape == Star && g.Contacts != g.Identities-1:
		return fmt.Errorf("%w: %d contacts, the middle of a star of %d identities has %d", ErrGraph, g.Contacts, g.Identities, g.Identities-1)
	case g.Shape == Ring && g.Contacts%2 == 1 && g.Identities%2 == 1:
		return fmt.Errorf("%w: %d identities with %d contacts each make half a pair, one of the numbers has to be even", ErrGraph, g.Identities, g.Contacts)
	case g.Identities > MaxPairs || g.Contacts > MaxPairs || g.Pairs() > MaxPairs:
		return fmt.Errorf("%w: more than %d pairs", ErrGraph, MaxPairs)
	}
	return nil
}

// Pairs is how many there are.
func (g Graph) Pairs() int {
	if g.Shape == Star {
		return g.Identities - 1
	}
	return g.Identities * g.Contacts / 2
}

// neighbours is how many contacts an identity has on each side of it.
func (g Graph) neighbours() int { return g.Contacts / 2 }

// Pair gives the two of a pair.
func (g Graph) Pair(p int) (a, b int) {
	if g.Shape == Star {
		return 0, p + 1
	}
	beside := g.Identities * g.neighbours()
	if p >= beside {
		a = p - beside
		return a, a + g.Identities/2
	}
	a = p / g.neighbours()
	return a, (a + p%g.neighbours() + 1) % g.Identities
}

// Find gives the pair of two identities, and whether they stand in it the other way
// round; false if they do not know each other.
func (g Graph) Find(from, to int) (pair int, turned, known bool) {
	n := g.Identities
	if from < 0 || to < 0 || from >= n || to >= n || from == to {
		return 0, false, false
	}
	if g.Shape == Star {
		switch {
		case from == 0:
			return to - 1, false, true
		case to == 0:
			return from - 1, true, true
		}
		return 0, false, false
	}
	ahead := (to - from + n) % n
	switch beside := g.neighbours(); {
	case ahead <= beside:
		return from*beside + ahead - 1, false, true
	case n-ahead <= beside:
		return to*beside + n - ahead - 1, true, true
	case g.Contacts%2 == 1 && 2*ahead == n:
		return n*beside + min(from, to), from > to, true
	}
	return 0, false, false
}

// ContactsOf appends the contacts of an identity.
func (g Graph) ContactsOf(i int, to []int) []int {
	if g.Shape == Star {
		if i != 0 {
			return append(to, 0)
		}
		for other := 1; other < g.Identities; other++ {
			to = append(to, other)
		}
		return to
	}
	for step := 1; step <= g.neighbours(); step++ {
		to = append(to, (i+step)%g.Identities, (i-step+g.Identities)%g.Identities)
	}
	if g.Contacts%2 == 1 {
		to = append(to, (i+g.Identities/2)%g.Identities)
	}
	return to
}
