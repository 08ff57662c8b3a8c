package courier

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is what really happens to the messages of some routes, next to what the
// coverage makes of it.
type world struct {
	t        *testing.T
	seed     uint64
	lookBack int64
	random   *rand.Rand
	now      int64
	coverage coverage
	routes   [4]*route // the present incarnation of each
	letters  [4][]*letter
	reading  [4]int64 // when it began
	verbose  bool     // a failing run is done again
	calming  bool

	// What the store has.
	cursor  int64
	records map[id]promise
	// What is on the way to it.
	writing    bool
	nextCursor int64
	changes    []change
}

type promise struct {
	following bool
	at        int64
}

// letter is a message on a route.
type letter struct {
	at       int64
	settled  bool
	underway bool
}

func (w *world) note(format string, args ...any) {
	if w.verbose {
		w.t.Logf("%d: "+format, append([]any{w.now}, args...)...)
	}
}

func (w *world) oldest() int64 {
	oldest := int64(math.MaxInt64)
	for _, letters := range w.letters {
		for _, l := range letters {
			if l.underway {
				oldest = min(oldest, l.at)
			}
		}
	}
	return oldest
}

func (w *world) settle(l *letter) {
	l.settled, l.underway = true, false
	w.coverage.settled(l.at)
}

// handle is what becomes of a message that a route gets.
func (w *world) handle(n int, l *letter) {
	if l.settled || l.underway {
		return
	}
	choice := w.random.IntN(4)
	if w.calming {
		choice = 3
	}
	switch choice {
	case 0:
		l.underway = true
	case 1: // left in the history
		w.coverage.lower(w.routes[n], l.at, w.now, w.oldest())
	default:
		w.settle(l)
	}
}

func (w *world) step() {
	w.now += 1 + w.random.Int64N(3)*int64(time.Second)
	n := w.random.IntN(len(w.routes))
	r := w.routes[n]
	switch w.random.IntN(16) {
	case 0, 1, 2, 3: // a message
		l := &letter{at: w.now}
		w.letters[n] = append(w.letters[n], l)
		missed := w.random.IntN(4) == 0
		w.note("message on %d, missed %v", n, missed)
		switch {
		case r == nil || !r.present || !r.live:
		case missed:
			w.coverage.gap(l.at, w.now, w.oldest())
		default:
			w.handle(n, l)
		}
	case 4:
		for _, letters := range w.letters {
			for _, l := range letters {
				if l.underway && w.random.IntN(2) == 0 {
					w.note("settled %d", l.at)
					w.settle(l)
				}
			}
		}
	case 5, 12: // come and go
		if r == nil || !r.present {
			w.note("join %d", n)
			r = &route{id: id{byte(n)}}
			w.routes[n] = r
			w.coverage.join(r, w.now)
			return
		}
		if w.random.IntN(2) == 0 {
			w.note("leave %d", n)
			w.coverage.leave(r, w.now, w.oldest())
			for _, l := range w.letters[n] { // what it has not dealt with comes again
				if l.underway {
					l.underway = false
					w.coverage.lower(r, l.at, w.now, w.oldest())
				}
			}
		}
	case 6, 13:
		if r != nil && r.present {
			r.live = true
		}
	case 7, 8, 14:
		w.read(n, r)
	case 9:
		if w.random.IntN(3) == 0 {
			w.now += w.random.Int64N(int64(2 * time.Minute))
		}
	case 10, 15:
		w.write()
	case 11:
		if w.random.IntN(5) == 0 {
			w.crash()
		}
	}
}

// read begins or ends the reading of a route.
func (w *world) read(n int, r *route) {
	if r == nil {
		return
	}
	if due, _ := w.coverage.due(r, w.now); due {
		w.note("begin %d from %d", n, w.coverage.since(r, w.now))
		w.coverage.begin(r)
		w.reading[n] = w.now
		return
	}
	if !r.reading {
		return
	}
	o := outcome{through: w.random.IntN(3) > 0, at: w.reading[n], wait: func(int) time.Duration { return time.Second }}
	since := w.coverage.since(r, w.now)
	if !o.through {
		o.at = since + w.random.Int64N(w.reading[n]-min(since, w.reading[n])+1)
	}
	for _, l := range w.letters[n] {
		if l.at >= since && (l.at < o.at || o.through) {
			w.handle(n, l)
		}
	}
	w.coverage.finish(r, o, w.now)
	w.note("read %d until %d, through %v: covered %d, behind %v", n, o.at, o.through, r.covered, r.behind)
}

// write is what goes to the store, which takes a while, may fail, and must not
// promise too much.
func (w *world) write() {
	if !w.writing {
		w.writing = true
		w.nextCursor, w.changes = w.coverage.writes(w.now, w.oldest())
		w.note("write: cursor %d, %d changes", w.nextCursor, len(w.changes))
		return
	}
	w.writing = false
	failed := w.random.IntN(5) == 0
	for _, change := range w.changes {
		w.coverage.written(change, !failed, w.now)
		if !failed {
			w.records[change.route.id] = promise{change.stored == asFollowing, change.at}
		}
	}
	w.note("written, failed %v", failed)
	if failed {
		return
	}
	cursor := w.nextCursor
	w.coverage.cursor, w.cursor = cursor, cursor
	if cursor > w.now {
		w.fail("the cursor is ahead of the clock")
	}
	for n, letters := range w.letters {
		known, ok := w.records[id{byte(n)}]
		if !ok {
			continue // who joins is new and reads everything
		}
		at := known.at
		if known.following {
			at = cursor
		}
		for _, l := range letters {
			if !l.settled && l.at < at {
				w.fail("the message at %d on %d is passed by, which is at %d (%+v)", l.at, n, at, known)
			}
		}
	}
}

// crash begins anew with what the store has.
func (w *world) crash() {
	w.note("crash")
	w.coverage = coverage{overlap: 0, lookBack: w.coverage.lookBack, horizon: w.coverage.horizon, routes: make(map[id]*route), cursor: w.cursor, reached: w.cursor}
	for key, known := range w.records {
		r := &route{id: key, progress: progress{stored: asFollowing}}
		if !known.following {
			r.stored, r.storedAt, r.covered = asOwn, known.at, known.at
		}
		w.coverage.load(r, w.now)
	}
	w.routes, w.reading, w.writing = [4]*route{}, [4]int64{}, false
	for _, letters := range w.letters {
		for _, l := range letters {
			l.underway = false
		}
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	if w.verbose {
		w.t.Fatalf(format, args...)
	}
	w.t.Errorf("seed %d, look back %v: "+format, append([]any{w.seed, time.Duration(w.lookBack)}, args...)...)
	newWorld(w.t, w.seed, w.lookBack, true).run()
}

// Whatever happens in whatever order, nothing that is not settled is ever behind
// what the store says was dealt with; and when things calm down all is settled.
func TestCursorNeverPassesWhatIsNotSettled(t *testing.T) {
	for _, lookBack := range []time.Duration{0, 10 * time.Minute} {
		for seed := range uint64(600) {
			newWorld(t, seed, int64(lookBack), false).run()
			if t.Failed() {
				return
			}
		}
	}
}

func newWorld(t *testing.T, seed uint64, lookBack int64, verbose bool) *world {
	return &world{
		t:        t,
		seed:     seed,
		lookBack: lookBack,
		verbose:  verbose,
		random:   rand.New(rand.NewPCG(seed, uint64(lookBack))),
		now:      int64(time.Hour) * 1000,
		records:  make(map[id]promise),
		coverage: coverage{
			lookBack: lookBack,
			horizon:  func(*route) int64 { return int64(999 * time.Hour) },
			routes:   make(map[id]*route),
		},
	}
}

func (w *world) run() {
	for range 400 {
		w.step()
		behind := 0
		for _, r := range w.coverage.routes {
			if r.behind {
				behind++
			}
		}
		if w.coverage.behind != behind {
			w.fail("%d routes are behind, and %d counted", behind, w.coverage.behind)
			return
		}
	}
	w.calm()
}

// calm lets everything come to an end, in which nothing is missing.
func (w *world) calm() {
	w.calming = true
	for n := range w.routes {
		if w.routes[n] == nil || !w.routes[n].present {
			w.routes[n] = &route{id: id{byte(n)}}
			w.coverage.join(w.routes[n], w.now)
		}
		w.routes[n].live = true
	}
	for range 100 {
		w.now += int64(time.Minute)
		for n, r := range w.routes {
			for _, l := range w.letters[n] {
				if l.underway {
					w.settle(l)
				}
			}
			w.read(n, r)
		}
		w.write()
	}
	for n, letters := range w.letters {
		if i := slices.IndexFunc(letters, func(l *letter) bool { return !l.settled }); i >= 0 {
			w.fail("the message at %d on %d was never read", letters[i].at, n)
		}
	}
}
