package load

import "slices"

// sequence is a set of the numbers from 0 on, of which few are missing before the
// highest: 16 bytes as long as none is. The zero value is empty.
type sequence struct {
	missing *[]gap // below next, in order
	next    uint32 // above all that are in it
	// mark is another number that who has the sequence keeps beside it: there are
	// millions of them, and it would be padding otherwise.
	mark uint32
}

// gap is a range of numbers: from up to, not including, to.
type gap struct{ from, to uint32 }

// add tells whether the number was not in it before.
func (s *sequence) add(n uint32) bool {
	switch {
	case n == s.next:
		s.next++
		return true
	case n > s.next:
		s.open(gap{s.next, n})
		s.next = n + 1
		return true
	}
	return s.fill(n)
}

func (s *sequence) open(g gap) {
	if s.missing == nil {
		s.missing = new([]gap)
	}
	*s.missing = append(*s.missing, g)
}

// fill puts in a number below next.
func (s *sequence) fill(n uint32) bool {
	if s.missing == nil {
		return false
	}
	gaps := *s.missing
	i, _ := slices.BinarySearchFunc(gaps, n, func(g gap, n uint32) int {
		if g.to <= n {
			return -1
		}
		return 1
	})
	if i == len(gaps) || n < gaps[i].from {
		return false
	}
	g := gaps[i]
	var left [2]gap
	rest := left[:0]
	if g.from < n {
		rest = append(rest, gap{g.from, n})
	}
	if n+1 < g.to {
		rest = append(rest, gap{n + 1, g.to})
	}
	gaps = slices.Replace(gaps, i, i+1, rest...)
	if len(gaps) == 0 {
		s.missing = nil
		return true
	}
	*s.missing = gaps
	return true
}

// has tells whether a number is in it.
func (s *sequence) has(n uint32) bool {
	if n >= s.next {
		return false
	}
	if s.missing != nil {
		for _, g := range *s.missing {
			if g.from <= n && n < g.to {
				return false
			}
		}
	}
	return true
}

// low is the smallest number that is not in it.
func (s *sequence) low() uint32 {
	if s.missing != nil {
		return (*s.missing)[0].from
	}
	return s.next
}

// lacks is how many of the numbers below n are not in it.
func (s *sequence) lacks(n uint32) int {
	lacking := 0
	if n > s.next {
		lacking = int(n - s.next)
	}
	if s.missing != nil {
		for _, g := range *s.missing {
			if g.from < n {
				lacking += int(min(g.to, n) - g.from)
			}
		}
	}
	return lacking
}
