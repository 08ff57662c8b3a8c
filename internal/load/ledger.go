package load

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// ledger is what was sent and what has arrived, message by message. A stream is a
// row of numbered messages of one sender: to one contact, or to the whole group of
// its contacts; a link is what arrives of it at one of them.
//
// What one recipient does is written by its handler alone, whose events come one
// after the other; what senders do, under one of many locks.
type ledger struct {
	graph   Graph
	grouped bool // streams go to groups
	turned  bool // there are links in both directions of a pair
	devices int

	// streams are the sender's side: the messages whose sending has ended; the mark
	// is the number of the next one.
	streams []sequence
	// links are the recipient's side, devices of them for each: the messages that have
	// arrived; the mark is the highest head.before among them.
	links []sequence
	locks [1024]sync.Mutex

	failedLock sync.Mutex
	failed     map[failure]bool
}

// failure is a message that could not be sent.
type failure struct {
	link   int
	number uint32
}

func newLedger(g Graph, s Scenario, devices int) *ledger {
	l := &ledger{graph: g, grouped: s == FanOut, turned: s.answered() || s == FanOut || s == Reconnect, devices: devices, failed: make(map[failure]bool)}
	links := g.Pairs()
	if l.turned {
		links *= 2
	}
	l.links = make([]sequence, links*devices)
	if l.grouped {
		links = g.Identities
	}
	l.streams = make([]sequence, links)
	return l
}

// size is what it takes in bytes, as long as nothing is missing.
func (l *ledger) size() int64 {
	return int64(len(l.streams)+len(l.links)) * int64(unsafe.Sizeof(sequence{}))
}

// link gives the number of the link between two, false if there is none.
func (l *ledger) link(from, to int) (int, bool) {
	pair, turned, known := l.graph.Find(from, to)
	switch {
	case !known || turned && !l.turned:
		return 0, false
	case !l.turned:
		return pair, true
	case turned:
		return 2*pair + 1, true
	}
	return 2 * pair, true
}

// stream gives the number of the stream that a link belongs to.
func (l *ledger) stream(link, from int) int {
	if l.grouped {
		return from
	}
	return link
}

// begin takes the next number of a stream, and tells below which all were durable
// before.
func (l *ledger) begin(stream int) (number, before uint32) {
	lock := &l.locks[stream%len(l.locks)]
	lock.Lock()
	defer lock.Unlock()
	s := &l.streams[stream]
	number = s.mark
	s.mark++
	return number, s.low()
}

// end notes that sending a message has ended.
func (l *ledger) end(stream int, number uint32) {
	lock := &l.locks[stream%len(l.locks)]
	lock.Lock()
	defer lock.Unlock()
	l.streams[stream].add(number)
}

// fail notes that a message was not sent on a link.
func (l *ledger) fail(link int, number uint32) {
	l.failedLock.Lock()
	defer l.failedLock.Unlock()
	l.failed[failure{link, number}] = true
}

// arrive notes a message at a device: whether it is there for the first time, and
// whether it was overtaken by one that was sent when it was durable already.
func (l *ledger) arrive(number, device int, h head) (first, overtaken bool) {
	in := &l.links[number*l.devices+device]
	if !in.add(h.number) {
		return false, false
	}
	overtaken = h.number < in.mark
	in.mark = max(in.mark, h.before)
	return true, overtaken
}

// lost counts what was sent and is not there. Nobody may send or receive any more.
func (l *ledger) lost() int {
	lost := 0
	count := func(link, from int) {
		sent := l.streams[l.stream(link, from)].mark
		for device := range l.devices {
			lost += l.links[link*l.devices+device].lacks(sent)
		}
	}
	for pair := range l.graph.Pairs() {
		a, b := l.graph.Pair(pair)
		if forward, ok := l.link(a, b); ok {
			count(forward, a)
		}
		if back, ok := l.link(b, a); ok {
			count(back, b)
		}
	}
	for f := range l.failed {
		for device := range l.devices {
			if !l.links[f.link*l.devices+device].has(f.number) {
				lost--
			}
		}
	}
	return lost
}

// counter counts from many goroutines, each in a place of its own.
type counter [16]struct {
	n atomic.Int64
	_ [56]byte // a cache line each
}

func (c *counter) add(place int, n int64) { c[uint(place)%uint(len(c))].n.Add(n) }

func (c *counter) sum() (sum int64) {
	for i := range c {
		sum += c[i].n.Load()
	}
	return sum
}
