package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

var (
	errCursor = errors.New("malformed cursor")
	// errGone: the identity was deleted.
	errGone = errors.New("identity was deleted")
	// errStopping: the daemon is shutting down.
	errStopping = errors.New("daemon is shutting down")
)

// feed holds the events of one hosted installation that consumers have not acknowledged,
// in their order. Readers keep a place each and are given nothing that they have not
// asked for, so a slow one costs no memory. Safe for concurrent use.
//
// Messages wait until they are acknowledged; when there are too many the engine's
// handler is held up. Notices, which the engine does not store, push out the oldest of
// their kind.
type feed struct {
	run                            string // tells this life of the daemon from others
	maxWaiting, maxBytes, maxNotes int

	mu       sync.Mutex
	entries  []*entry // by seq
	known    map[string]*entry
	last     uint64          // seq
	waiting  int             // messages
	bytes    int             // of their payloads
	notices  uint64          // were ever added
	kept     int             // of them
	dropped  uint64          // the number of the last notice that was pushed out
	webhooks map[string]bool // by their ids: those that have to have each message
	changed  chan struct{}
	released chan struct{}
	ended    error
	over     chan struct{} // closed by end
}

// entry is one event of a feed.
type entry struct {
	seq    uint64
	notice uint64 // its number among the notices, 0 for a message
	before uint64 // how many notices there were by then
	event  *apiv1.Event
	ack    func()
	had    map[string]bool // webhooks that are done with it
	acked  bool            // by a consumer, while a webhook is not done with it
}

// place is how far a reader is.
type place struct{ seq, notice uint64 }

func newFeed(run string, o Options) *feed {
	return &feed{
		run: run, maxWaiting: o.MaxWaiting, maxBytes: o.MaxWaitingBytes, maxNotes: o.MaxNotices,
		known: make(map[string]*entry), webhooks: make(map[string]bool), changed: make(chan struct{}), released: make(chan struct{}),
		over: make(chan struct{}),
	}
}

// message adds a message, once, and waits until there is room for it. ack takes it out
// of the engine's inbox. After end it adds nothing: the engine reports it again when it
// is opened.
func (f *feed) message(event *apiv1.Event, ack func()) {
	f.mu.Lock()
	for f.ended == nil && f.waiting > 0 && (f.waiting >= f.maxWaiting || f.bytes+len(event.GetPayload()) > f.maxBytes) {
		released := f.released
		f.mu.Unlock()
		<-released
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	if f.ended != nil || f.known[event.GetId()] != nil {
		return // it waits already, if anybody waits any more
	}
	f.waiting++
	f.bytes += len(event.GetPayload())
	f.add(&entry{event: event, ack: ack})
}

// notice adds an event that is not stored.
func (f *feed) notice(event *apiv1.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		return
	}
	f.notices++
	f.kept++
	event.Id = fmt.Sprintf("n-%s-%d", f.run, f.notices)
	f.add(&entry{event: event, notice: f.notices, ack: func() {}})
	if f.kept > f.maxNotes {
		oldest := f.entries[slices.IndexFunc(f.entries, func(e *entry) bool { return e.notice > 0 })]
		f.dropped = oldest.notice
		f.remove(oldest)
	}
}

// add wakes the readers. f.mu is held.
func (f *feed) add(e *entry) {
	f.last++
	e.seq, e.before = f.last, f.notices
	e.event.Cursor = f.cursor(place{e.seq, e.before})
	f.entries = append(f.entries, e)
	f.known[e.event.GetId()] = e
	close(f.changed)
	f.changed = make(chan struct{})
}

// remove forgets an event. f.mu is held.
func (f *feed) remove(e *entry) {
	at, found := slices.BinarySearchFunc(f.entries, e.seq, bySeq)
	if !found {
		return
	}
	f.entries = slices.Delete(f.entries, at, at+1)
	delete(f.known, e.event.GetId())
	if e.notice > 0 {
		f.kept--
		return
	}
	f.waiting--
	f.bytes -= len(e.event.GetPayload())
	close(f.released)
	f.released = make(chan struct{})
}

func bySeq(e *entry, seq uint64) int { return cmp.Compare(e.seq, seq) }

// acknowledge takes events out for all readers, and tells how many of them were there.
// What a webhook still has to have stays for that.
func (f *feed) acknowledge(ids []string) int {
	var gone []*entry
	n := 0
	f.mu.Lock()
	for _, id := range ids {
		e := f.known[id]
		if e == nil || e.acked {
			continue
		}
		n++
		if e.acked = f.held(e); !e.acked {
			f.remove(e)
			gone = append(gone, e)
		}
	}
	f.mu.Unlock()
	for _, e := range gone {
		e.ack()
	}
	return n
}

// cursor is a place as readers keep it.
func (f *feed) cursor(p place) string { return fmt.Sprintf("%s.%d.%d", f.run, p.seq, p.notice) }

// begin gives the place behind a cursor, or that before everything if it is "" or of
// another life. errCursor.
func (f *feed) begin(cursor string) (place, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	everything := place{0, f.dropped}
	if cursor == "" {
		return everything, nil
	}
	var run string
	var p place
	if n, err := fmt.Sscanf(cursor, "%16s.%d.%d", &run, &p.seq, &p.notice); err != nil || n != 3 || cursor != fmt.Sprintf("%s.%d.%d", run, p.seq, p.notice) {
		return place{}, errCursor
	}
	if run != f.run || p.seq > f.last {
		return everything, nil
	}
	return p, nil
}

// next gives the first event behind a place, and moves it. If there is none, it gives
// what is closed when one comes. missed tells how many notices were pushed out before
// the reader came to them, or a few more. webhook is the id of the one that reads, "" for
// a consumer.
func (f *feed) next(p *place, webhook string) (event *apiv1.Event, missed uint64, changed <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dropped > p.notice {
		missed = f.dropped - p.notice
		p.notice = f.dropped
		return nil, missed, nil, nil
	}
	at, _ := slices.BinarySearchFunc(f.entries, p.seq+1, bySeq)
	for _, e := range f.entries[at:] {
		p.seq, p.notice = e.seq, max(p.notice, e.before)
		if webhook == "" && !e.acked || webhook != "" && !e.had[webhook] {
			return e.event, 0, nil, nil
		}
	}
	return nil, 0, f.changed, f.ended
}

// end wakes everybody for good.
func (f *feed) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		return
	}
	f.ended = err
	close(f.over)
	close(f.changed)
	close(f.released)
	f.changed, f.released = make(chan struct{}), make(chan struct{})
}

// newest is the place of the last event.
func (f *feed) newest() (seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// forget takes out the messages of a contact that the engine has deleted, up to one.
// What is behind it may have come since.
func (f *feed) forget(contact string, upTo uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range slices.Clone(f.entries) {
		if e.seq <= upTo && e.notice == 0 && e.event.GetContact() == contact {
			f.remove(e)
		}
	}
}
