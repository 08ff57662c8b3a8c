package bundleactor

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/x3dh"
)

// TestMain looks for goroutines that stay.
func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient gives goroutines that are on their way out the time that a busy machine
// needs for them: goleak by itself looks for less than half a second.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(patience); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
	}
	return code
}

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 20 * time.Second

// disk is a store that can be stopped and broken.
type disk struct {
	persistence.Store
	gate    sync.RWMutex // held for writing: nothing becomes durable
	failing atomic.Bool
	applied atomic.Int64
	before  func() error // called before a batch, if set
}

var errDisk = errors.New("disk on fire")

func (d *disk) Apply(ctx context.Context, batch persistence.Batch) error {
	d.gate.RLock()
	defer d.gate.RUnlock()
	if d.failing.Load() {
		return errDisk
	}
	if d.before != nil {
		if err := d.before(); err != nil {
			return err
		}
	}
	d.applied.Add(1)
	return d.Store.Apply(ctx, batch)
}

// unsteady is a randomness that panics when it is told to.
type unsteady struct {
	mu     sync.Mutex
	from   io.Reader
	panics atomic.Bool
}

func (u *unsteady) Read(p []byte) (int, error) {
	if u.panics.CompareAndSwap(true, false) {
		panic("no randomness")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.from.Read(p)
}

// hosted is one installation's bundle actor on a store of its own.
type hosted struct {
	t       *testing.T
	disk    *disk
	random  *unsteady
	now     atomic.Int64
	retired atomic.Bool // from the next restart on
	system  *actors.System
	ref     actors.Ref
	restart func()
	// settled waits until every commit made before is settled.
	settled func()
	// published are what the network has taken.
	published chan Published
	tried     atomic.Int64
	offline   atomic.Bool // the network takes nothing
	silent    atomic.Bool // it does not answer, or
	mu        sync.Mutex
	// unanswered are those to whom it has not.
	unanswered []func(error)
}

// host hosts an installation that publishes nothing.
func host(t *testing.T) *hosted {
	t.Helper()
	return hostWith(t, nil)
}

// hostPublishing hosts one whose publications can be seen.
func hostPublishing(t *testing.T) *hosted {
	t.Helper()
	published := make(chan Published, 16)
	var h *hosted
	h = hostWith(t, func(p Published, accepted func(error)) {
		h.tried.Add(1)
		if h.silent.Load() {
			h.mu.Lock()
			h.unanswered = append(h.unanswered, accepted)
			h.mu.Unlock()
			return
		}
		if h.offline.Load() {
			accepted(errOffline)
			return
		}
		published <- p
		accepted(nil)
	})
	h.published = published
	return h
}

var errOffline = errors.New("no network")

func hostWith(t *testing.T, publish func(Published, func(error))) *hosted {
	t.Helper()
	h := &hosted{t: t, disk: &disk{Store: memory.New()}, random: &unsteady{from: seeded(t.Name())}}
	h.now.Store(noon)
	committer := persistence.NewCommitter(h.disk, persistence.CommitterOptions{})
	stream := committer.NewStream(persistence.Fence{Owner: owner})
	own := newIdentity(t, t.Name())
	h.system = actors.NewSystem(actors.Options{})
	spawn := func() {
		ref, err := h.system.Spawn("bundle", func() actors.Actor {
			return New(Config{
				Identity: own, Installation: "device", Owner: owner, Reader: committer, Stream: stream,
				Random: h.random, Now: h.now.Load, Schedule: DefaultSchedule(), Publish: publish, Retired: h.retired.Load(),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		h.ref = ref
	}
	h.restart = func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := h.system.Stop(ctx, h.ref); err != nil {
			t.Fatal(err)
		}
		spawn()
	}
	h.settled = func() { committer.NewStream(persistence.Fence{Owner: owner}).Restart() }
	spawn()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.system.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := committer.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

func ask[T any](h *hosted, build func(actors.Reply[T]) any) (T, error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	return actors.Ask(ctx, h.ref, build)
}

// wait takes one answer, in time.
func wait[T any](t *testing.T, answers <-chan T) T {
	t.Helper()
	select {
	case answer := <-answers:
		return answer
	case <-time.After(patience):
		t.Fatal("somebody is not answered")
		panic("not reached")
	}
}

func (h *hosted) tryGet() (Published, error) {
	h.t.Helper()
	return ask(h, func(r actors.Reply[Published]) any { return GetBundle{r} })
}

func (h *hosted) get() Published {
	h.t.Helper()
	p, err := h.tryGet()
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *hosted) find(public x3dh.PreKeyPublic) *Found {
	h.t.Helper()
	found, err := ask(h, func(r actors.Reply[*Found]) any { return FindPreKey{r, public} })
	if err != nil {
		h.t.Fatal(err)
	}
	return found
}

func (p Published) prekey() x3dh.PreKeyPublic { return x3dh.PreKeyPublic(p.Bundle.PreKeys[0].Key) }

// tick makes a sweep at a time, and waits until what it started has ended.
func (h *hosted) tick(at int64) {
	h.t.Helper()
	h.now.Store(at)
	h.system.Sweep(time.Unix(0, at))
	h.settle()
}

// settle waits until all that was started has ended: a renewal, its publication, and
// the note of that.
func (h *hosted) settle() {
	h.t.Helper()
	for range 3 {
		h.find(x3dh.PreKeyPublic{2}) // what it commits is handed over
		h.settled()
	}
	h.find(x3dh.PreKeyPublic{2}) // its continuation was handled
}

// none fails if something was published.
func (h *hosted) none(why string) {
	h.t.Helper()
	if n := len(h.published); n != 0 {
		h.t.Errorf("%s: %d publications", why, n)
	}
}
