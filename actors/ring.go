package actors

// ring is a queue, first in, first out, whose first places lie in itself. The zero value
// is empty. It must not be copied once it was used.
type ring[T any] struct {
	places []T // a power of two of them, or none yet
	first  uint32
	n      uint32
	own    [2]T
}

func (r *ring[T]) push(value T) {
	if int(r.n) == len(r.places) {
		r.grow()
	}
	r.places[(r.first+r.n)&r.last()] = value
	r.n++
}

// pop gives the zero value when nothing is left.
func (r *ring[T]) pop() T {
	var none T
	if r.n == 0 {
		return none
	}
	place := &r.places[r.first]
	value := *place
	*place = none // or it would keep what hangs from it alive
	r.first = (r.first + 1) & r.last()
	r.n--
	return value
}

// last is the place at the end.
func (r *ring[T]) last() uint32 { return uint32(len(r.places) - 1) } //nolint:gosec // n would not fit before

func (r *ring[T]) grow() {
	if r.places == nil {
		r.places = r.own[:]
		return
	}
	larger := make([]T, max(8, 2*int(r.n)))
	copy(larger[copy(larger, r.places[r.first:]):], r.places[:r.first])
	clear(r.own[:])
	r.places, r.first = larger, 0
}

// trim gives back the places of a ring that is empty and has more than so many.
func (r *ring[T]) trim(most int) {
	if r.n == 0 && len(r.places) > most {
		r.places, r.first = r.own[:], 0
	}
}
