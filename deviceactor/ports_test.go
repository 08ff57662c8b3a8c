package deviceactor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// disk is a store that can be watched, stopped and broken.
type disk struct {
	persistence.Store
	gate sync.RWMutex // held for writing: nothing becomes durable

	mu      sync.Mutex
	batches []persistence.Batch
	fails   func(persistence.Batch) bool
}

var errDisk = errors.New("disk on fire")

func (d *disk) Apply(ctx context.Context, batch persistence.Batch) error {
	d.gate.RLock()
	defer d.gate.RUnlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails != nil && d.fails(batch) {
		return errDisk
	}
	d.batches = append(d.batches, batch.Clone())
	return d.Store.Apply(ctx, batch)
}

func (d *disk) failing(fails func(persistence.Batch) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = fails
}

func always(persistence.Batch) bool { return true }

// since gives the batches from the n-th on.
func (d *disk) since(n int) []persistence.Batch {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]persistence.Batch{}, d.batches[n:]...)
}

// hash is everything the store holds, but what the bundle actor wrote: a remedy
// for a refused message may renew our own prekeys at any time.
func (d *disk) hash(t *testing.T) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	err := d.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		if name.Kind() == persistence.KindPrekey || name.Kind() == persistence.KindPublication {
			return nil
		}
		_, err := fmt.Fprintf(h, "%d %s %d %s\n", len(name), string(name), len(value), value)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (d *disk) count(t *testing.T, kind persistence.Kind) int {
	t.Helper()
	n := 0
	err := d.Scan(t.Context(), persistence.NewName(kind), func(persistence.Name, []byte) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// moody is a randomness that can be slow, or panic when it is told to.
type moody struct {
	mu     sync.Mutex
	from   io.Reader
	slow   bool
	reads  uint64
	panics atomic.Bool
}

// read is how often it was asked.
func (m *moody) read() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func (m *moody) Read(p []byte) (int, error) {
	if m.panics.CompareAndSwap(true, false) {
		panic("no randomness")
	}
	m.mu.Lock()
	n, err := m.from.Read(p)
	m.reads++
	slow := m.slow
	m.mu.Unlock()
	if slow {
		time.Sleep(time.Duration(p[0]) * 5 * time.Microsecond)
	}
	return n, err
}

// held is a Reader that waits before it scans what is held back, and fails to
// scan what is broken.
type held struct {
	Reader
	mu     sync.Mutex
	names  map[persistence.Name]chan struct{}
	broken map[persistence.Name]error
	scans  map[persistence.Name]int
}

// scanned is how often a prefix was searched for.
func (h *held) scanned(prefix persistence.Name) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.scans[prefix]
}

// breaks makes scans fail from now on, or work again.
func (h *held) breaks(prefix persistence.Name, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = map[persistence.Name]error{prefix: err}
}

// Get is held up, and fails, as a scan of a prefix of the name is.
func (h *held) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	var (
		wait   chan struct{}
		broken error
	)
	h.mu.Lock()
	for prefix, until := range h.names {
		if strings.HasPrefix(string(name), string(prefix)) {
			wait = until
		}
	}
	for prefix, err := range h.broken {
		if strings.HasPrefix(string(name), string(prefix)) {
			broken = err
		}
	}
	h.mu.Unlock()
	if broken != nil {
		return nil, broken
	}
	if wait != nil {
		<-wait
	}
	return h.Reader.Get(ctx, name)
}

func (h *held) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	h.mu.Lock()
	wait, broken := h.names[prefix], h.broken[prefix]
	if h.scans == nil {
		h.scans = make(map[persistence.Name]int)
	}
	h.scans[prefix]++
	h.mu.Unlock()
	if broken != nil {
		return broken
	}
	if wait != nil {
		<-wait
	}
	return h.Reader.Scan(ctx, prefix, fn)
}

// line is a network that keeps what is published.
type line struct {
	mu      sync.Mutex
	sent    []*wire.Message
	agreed  []bool // of all that was published
	refuses bool
	publish func() // called before a publication
}

func (l *line) Publish(e transport.Envelope, accepted func(error)) {
	if l.publish != nil {
		l.publish()
	}
	l.mu.Lock()
	refuses := l.refuses
	m, err := wire.Decode(e.Payload)
	if err != nil {
		panic(err)
	}
	l.sent = append(l.sent, m)
	l.agreed = append(l.agreed, e.Agreed)
	l.mu.Unlock()
	if refuses {
		accepted(errors.New("the network is down"))
		return
	}
	accepted(nil)
}

func (l *line) refusing(refuses bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuses = refuses
}

func (l *line) isRefusing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refuses
}

// take gives what was published since the last time.
func (l *line) take() []*wire.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent
	l.sent = nil
	return sent
}
