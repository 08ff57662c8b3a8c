package courier

import (
	"math"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport/topic"
)

// grace is how long a route that does not keep up with the others holds back the
// cursor of all, before its own place is written down.
const grace = int64(time.Minute)

// ownAgain is how often at most the own place of a route is written down anew.
const ownAgain = int64(30 * time.Second)

// headway is how far a reading has to come that ends early for the next one not to be
// put off any longer: an endless history must not be read all the time.
const headway = int64(10 * time.Minute)

// storedAs is what the store knows of a route.
type storedAs uint8

const (
	notAtAll    storedAs = iota
	asFollowing          // covered as far as the cursor
	asOwn                // covered until a place of its own
)

// progress is how far the messages on a route were dealt with. Times called "at"
// are of the history's clock, the others of ours; both are ns since the epoch.
type progress struct {
	// covered is until where, from the history: see coverage.place.
	covered int64
	present bool // somebody listens
	live    bool // the carrier delivers
	behind  bool // there is something to be read before it is as far as the others
	changed int64
	left    int64 // since when nobody listens; 0 if somebody does

	reading bool
	lowered int64 // while it is read: what was missed meanwhile
	read    int64 // when it was read last
	tries   int   // that failed
	retry   int64

	stored     storedAs
	storedAt   int64
	storedTime int64
	// What else the record says.
	storedLeft, storedProven bool
	urgent                   bool // somebody waits for it
	dropped                  bool // its record is deleted, or going to be
}

// coverage is how far the messages of all routes were dealt with. It decides what
// is to be read of the history, and how far the cursor may go. For who holds the
// courier's lock.
type coverage struct {
	overlap  int64
	lookBack int64 // 0: never
	horizon  func(*route) int64

	routes  map[id]*route
	digests map[topic.Digest]int // of how many routes
	cursor  int64                // as the store has it
	reached int64                // the latest at of a message that was settled
	behind  int                  // routes that are not as far as they could be
}

// put adds a route, or puts it in the place of the one with its id.
func (c *coverage) put(r *route) {
	c.remove(r.id)
	c.routes[r.id] = r
	if r.behind {
		c.behind++
	}
	if c.digests == nil {
		c.digests = make(map[topic.Digest]int)
	}
	c.digests[r.digest]++
}

func (c *coverage) remove(i id) {
	r, ok := c.routes[i]
	if !ok {
		return
	}
	delete(c.routes, i)
	if r.behind {
		c.behind--
	}
	if c.digests[r.digest]--; c.digests[r.digest] == 0 {
		delete(c.digests, r.digest)
	}
}

// uses tells whether a route has a key of that name.
func (c *coverage) uses(d topic.Digest) bool { return c.digests[d] > 0 }

// settled notes that a message was dealt with.
func (c *coverage) settled(at int64) { c.reached = max(c.reached, at) }

// front is how far those are that nothing was missed of.
func (c *coverage) front(now, oldest int64) int64 { return min(now, c.reached, oldest) }

// place is until when the messages of a route were dealt with. oldest is the oldest
// message that is not settled.
func (c *coverage) place(r *route, now, oldest int64) int64 {
	if r.present && !r.behind && c.lookBack == 0 {
		return c.front(now, oldest)
	}
	return min(r.covered, oldest)
}

// join begins a route, or takes up one that nobody has listened to. What the store
// has of it decides where.
func (c *coverage) join(r *route, now int64) {
	known, ok := c.routes[r.id]
	if ok && known != r {
		r.covered, r.stored, r.storedAt = known.covered, known.stored, known.storedAt
		r.storedProven = known.storedProven
	} else if !ok {
		r.covered = now - c.horizon(r)
	}
	c.put(r)
	c.setBehind(r, true)
	r.present, r.live = true, false
	r.changed, r.left, r.tries, r.retry = now, 0, 0, 0
}

// leave ends that somebody listens.
func (c *coverage) leave(r *route, now, oldest int64) {
	r.covered = c.place(r, now, oldest)
	c.setBehind(r, false)
	r.present, r.live, r.reading = false, false, false
	r.changed, r.left = now, now
	if r.stored == notAtAll {
		// It was never as far as the others: who comes back is new.
		c.remove(r.id)
	}
}

// load takes a route from the store.
func (c *coverage) load(r *route, now int64) {
	if r.stored == asFollowing {
		r.covered = c.cursor
	}
	if r.left == 0 {
		r.left = now
	}
	r.changed, r.storedLeft = now, r.stored == asOwn
	c.put(r)
}

// gap notes that messages since then may have been missed, on all routes.
func (c *coverage) gap(since, now, oldest int64) {
	for _, r := range c.routes {
		if r.present {
			c.lower(r, since, now, oldest)
			r.retry = 0
		}
	}
}

// lower notes that a route has missed something.
func (c *coverage) lower(r *route, at, now, oldest int64) {
	switch {
	case !r.present: // leave has thought of what was not settled
		return
	case r.reading:
		r.lowered = min(r.lowered, at)
		return
	case !r.behind:
		r.covered = c.place(r, now, oldest)
		c.setBehind(r, true)
		r.changed = now
	}
	r.covered = min(r.covered, at)
}

// due tells whether the history of a route is to be read, and if not, when.
func (c *coverage) due(r *route, now int64) (is bool, when int64) {
	switch {
	case !r.present || !r.live || r.reading:
		return false, math.MaxInt64
	case r.behind:
		when = r.retry
	case c.lookBack == 0:
		return false, math.MaxInt64
	default:
		when = max(r.retry, r.read+c.lookBack)
	}
	return when <= now, when
}

// since is from where on its history is read.
func (c *coverage) since(r *route, now int64) int64 {
	return max(r.covered-c.overlap, now-c.horizon(r))
}

func (c *coverage) begin(r *route) { r.reading, r.lowered = true, math.MaxInt64 }

// outcome is what a reading has come to.
type outcome struct {
	// through: it has seen all that there was when it began, and else at least what
	// was before a place.
	through bool
	at      int64
	headway bool
	// wait is how long not to try again if there is still something.
	wait func(tries int) time.Duration
}

// finish notes how far the reading of a route has come.
func (c *coverage) finish(r *route, o outcome, now int64) {
	through := o.through
	if !r.reading { // left, and perhaps joined again, meanwhile
		return
	}
	r.reading = false
	r.covered = max(r.covered, min(o.at, c.reached))
	if r.lowered != math.MaxInt64 {
		r.covered = min(r.covered, r.lowered)
		c.setBehind(r, true)
		through = false
	}
	if !through {
		if o.headway {
			r.tries = 0
		}
		r.tries++
		r.retry = now + int64(o.wait(r.tries))
		return
	}
	c.setBehind(r, false)
	r.tries, r.retry = 0, 0
	r.changed, r.read = now, now
}

// change is a record to be written. The store knows the route as such afterwards.
type change struct {
	route  *route
	record persistence.Record
	stored storedAs
	at     int64
	left   bool
	proven bool
}

// writes gives the cursor, and the records that have to be written with it.
func (c *coverage) writes(now, oldest int64) (cursor int64, changes []change) {
	cursor = math.MaxInt64
	for _, r := range c.routes {
		at := max(c.place(r, now, oldest), 1) // 0 has a meaning of its own
		recent := now-r.changed < grace
		switch {
		case r.present && !r.behind:
			cursor = min(cursor, at)
			if r.stored != asFollowing || r.newlyProven() {
				changes = append(changes, newChange(r, asFollowing, 0))
			}
		case r.stored == asFollowing && recent:
			cursor = min(cursor, at)
		case r.stored == asOwn && r.storedLeft == (r.left != 0) && !r.newlyProven() && (at == r.storedAt || now-r.storedTime < ownAgain):
		case r.stored == notAtAll && recent && !r.urgent:
		default:
			changes = append(changes, newChange(r, asOwn, at))
		}
	}
	if cursor == math.MaxInt64 { // everybody has a place of his own
		cursor = c.cursor
	}
	return cursor, changes
}

// newlyProven: the store does not know yet that a negotiated topic is used.
func (r *route) newlyProven() bool {
	return r.kind == topic.KindNegotiated && r.proven && !r.storedProven
}

// drop forgets a route for good. Its record has to be deleted.
func (c *coverage) drop(r *route) {
	r.dropped = true
	c.remove(r.id)
}

func newChange(r *route, stored storedAs, at int64) change {
	return change{r, r.record(at), stored, at, r.left != 0, r.proven && r.kind == topic.KindNegotiated}
}

// written notes what became of a change. The route may have been left, and joined
// again as another one, while it was on the way. One that was dropped is deleted
// behind it.
func (c *coverage) written(w change, done bool, now int64) {
	if w.route.dropped {
		return
	}
	r, ok := c.routes[w.route.id]
	if !ok {
		r = w.route
		c.put(r)
	}
	if done {
		r.stored, r.storedAt, r.storedTime, r.urgent = w.stored, w.at, now, false
		r.storedLeft, r.storedProven = w.left, w.proven
	}
}

// expired gives the routes that nobody has listened to for so long that their
// history is gone, and forgets them.
func (c *coverage) expired(now int64) []*route {
	var all []*route
	for key, r := range c.routes {
		if !r.present && now-r.left > c.horizon(r) && now-r.changed > grace {
			all = append(all, r)
			r.dropped = true
			c.remove(key)
		}
	}
	return all
}

// setBehind notes whether there is something to be read before a route is as far as
// the others.
func (c *coverage) setBehind(r *route, behind bool) {
	if r.behind != behind && c.routes[r.id] == r {
		if behind {
			c.behind++
		} else {
			c.behind--
		}
	}
	r.behind = behind
}
