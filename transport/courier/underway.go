package courier

import "math"

// arrival is a message from the carrier that is not settled.
type arrival struct {
	id      id
	at      int64
	payload []byte // until it is opened
	size    int    // what it takes of the room
	routes  []*route
	waiting int  // routes that are not through with it
	live    bool // not from the history, which has it or is going to
	held    int  // routes on which it waits for the history
}

// underway are the messages that are not settled: what they hold up, and the room
// that they take. For who holds the courier's lock.
type underway struct {
	maxCount, maxBytes int

	arrivals map[*arrival]struct{}
	parts    map[id]struct{} // messages on routes
	bytes    int
	// Those that wait for the history, and the bytes of all that wait.
	held, heldBytes int
}

func newUnderway(maxCount, maxBytes int) underway {
	return underway{
		maxCount: maxCount,
		maxBytes: maxBytes,
		arrivals: make(map[*arrival]struct{}),
		parts:    make(map[id]struct{}),
	}
}

// fits tells whether there is room. One message always fits, however large it is, beside
// those that wait for the history: it may be what they wait for.
func (u *underway) fits(size int) bool {
	return len(u.arrivals) == u.held || len(u.arrivals) < u.maxCount && u.bytes+size <= u.maxBytes
}

// has tells whether a message on a route is among them.
func (u *underway) has(i id) bool {
	_, found := u.parts[i]
	return found
}

func (u *underway) add(a *arrival) {
	u.arrivals[a] = struct{}{}
	u.bytes += a.size
	a.waiting = len(a.routes)
	for _, r := range a.routes {
		u.parts[a.id.on(r)] = struct{}{}
	}
}

// grow has an arrival take more room, or less.
func (u *underway) grow(a *arrival, by int) {
	a.size += by
	u.bytes += by
}

// hold notes that an arrival waits for the history on a route.
func (u *underway) hold(a *arrival, size int) {
	if a.held++; a.held == 1 {
		u.held++
	}
	u.heldBytes += size
}

func (u *underway) unhold(a *arrival, size int) {
	if a.held--; a.held == 0 {
		u.held--
	}
	u.heldBytes -= size
}

// through notes that a route is through with a message, and tells whether all are.
func (u *underway) through(a *arrival, r *route) bool {
	delete(u.parts, a.id.on(r))
	a.waiting--
	if a.waiting > 0 {
		return false
	}
	delete(u.arrivals, a)
	u.bytes -= a.size
	return true
}

// oldest is the place of the oldest message, or no bound.
func (u *underway) oldest() int64 {
	oldest := int64(math.MaxInt64)
	for a := range u.arrivals {
		oldest = min(oldest, a.at)
	}
	return oldest
}
