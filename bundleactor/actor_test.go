package bundleactor

import (
	"context"
	"errors"
	"io"
	"reflect"
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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 20 * time.Second

// disk is a store that can be stopped and broken.
type disk struct {
	persistence.Store
	gate    sync.RWMutex // held for writing: nothing becomes durable
	failing atomic.Bool
	applied atomic.Int64
}

var errDisk = errors.New("disk on fire")

func (d *disk) Apply(ctx context.Context, batch persistence.Batch) error {
	d.gate.RLock()
	defer d.gate.RUnlock()
	if d.failing.Load() {
		return errDisk
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
	system  *actors.System
	ref     actors.Ref
	restart func()
}

func host(t *testing.T) *hosted {
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
				Random: h.random, Now: h.now.Load, Schedule: DefaultSchedule(),
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

func TestBundleIsDurableBeforeItIsShown(t *testing.T) {
	h := host(t)
	h.disk.gate.Lock()
	answered := make(chan Published, 3)
	for range 3 {
		h.ref.Tell(GetBundle{actors.ReplyFunc(func(p Published, err error) {
			if err != nil {
				t.Error(err)
			}
			answered <- p
		})})
	}
	if h.find(x3dh.PreKeyPublic{2}) != nil { // handled after the three
		t.Error("found a prekey that is not ours")
	}
	if len(answered) != 0 {
		t.Fatal("answered before the prekey was durable")
	}
	h.disk.gate.Unlock()
	first := wait(t, answered)
	for range 2 {
		if p := wait(t, answered); !reflect.DeepEqual(p, first) {
			t.Error("two bundles from one renewal")
		}
	}
	if got := h.disk.applied.Load(); got != 1 {
		t.Errorf("%d batches", got)
	}
	if found := h.find(first.prekey()); found == nil || found.Key.Public() != first.prekey() {
		t.Error("the prekey of the bundle is not found")
	}
}

func TestBundleIsKeptUntilItsSignatureIsDue(t *testing.T) {
	h := host(t)
	first := h.get()
	h.now.Store(first.Until - 1)
	if p := h.get(); p.Bundle.Timestamp != first.Bundle.Timestamp {
		t.Error("signed anew too early")
	}
	h.now.Store(first.Until)
	second := h.get()
	if second.Bundle.Timestamp <= first.Bundle.Timestamp || second.prekey() != first.prekey() {
		t.Error("not signed anew, or with another prekey")
	}
	if first.Until != noon+hour {
		t.Errorf("good until %d", first.Until)
	}
	h.now.Store(noon + day - 1)
	if p := h.get(); p.Until != noon+day || p.prekey() != first.prekey() {
		t.Errorf("on the day's last moment good until %d", p.Until)
	}
	h.now.Store(noon + day)
	if p := h.get(); p.prekey() == first.prekey() || p.Bundle.PreKeys[0].Version != 2 {
		t.Error("not rotated after a day")
	}
	if found := h.find(first.prekey()); found == nil || len(found.Newer) != 1 {
		t.Error("the replaced prekey is not found, or without the newer one")
	}
}

// T08: also over a restart with a clock that has gone back.
func TestTimestampGrowsOverARestart(t *testing.T) {
	h := host(t)
	first := h.get()
	h.now.Store(noon - 365*day)
	h.restart()
	second := h.get()
	if second.Bundle.Timestamp <= first.Bundle.Timestamp || second.prekey() != first.prekey() {
		t.Errorf("signed at %d after %d", second.Bundle.Timestamp, first.Bundle.Timestamp)
	}
}

// T44: an installation that only receives still rotates and destroys.
func TestSweepRotatesAndDestroysWithoutBeingAsked(t *testing.T) {
	h := host(t)
	first := h.get()
	sweep := func(at int64) {
		h.now.Store(at)
		h.system.Sweep(time.Unix(0, at))
		h.find(first.prekey()) // the renewal is under way
		h.restart()            // and has ended
	}
	sweep(noon + hour)
	if got := h.disk.applied.Load(); got != 1 {
		t.Errorf("%d batches: a signature alone was renewed", got)
	}
	sweep(noon + day)
	if found := h.find(first.prekey()); found == nil || len(found.Newer) != 1 {
		t.Fatalf("not rotated: %+v", found)
	}
	sweep(noon + 15*day - 1)
	if h.find(first.prekey()) == nil {
		t.Error("destroyed before its grace was over")
	}
	sweep(noon + 15*day)
	if h.find(first.prekey()) != nil {
		t.Error("still there after its grace")
	}
	keys, _, err := load(t.Context(), h.disk, owner)
	if err != nil || keys.Find(first.prekey()) != nil {
		t.Errorf("still in the store, %v", err)
	}
}

func TestSweepMakesNoFirstPreKey(t *testing.T) {
	h := host(t)
	h.system.Sweep(time.Unix(0, noon))
	h.restart()
	if got := h.disk.applied.Load(); got != 0 {
		t.Errorf("%d batches", got)
	}
}

func TestFailedCommitShowsNothingAndIsTriedAgain(t *testing.T) {
	h := host(t)
	h.disk.failing.Store(true)
	for range 3 {
		if p, err := h.tryGet(); !errors.Is(err, errDisk) {
			t.Fatalf("got %+v, %v", p, err)
		}
	}
	h.disk.failing.Store(false)
	p := h.get()
	if p.Bundle.PreKeys[0].Version != 1 || h.find(p.prekey()) == nil {
		t.Errorf("after the failure: %+v", p)
	}
	h.restart()
	if h.find(p.prekey()) == nil {
		t.Error("the prekey shown is not in the store")
	}
}

func TestSiblingsStandInTheAnsweredBundle(t *testing.T) {
	h := host(t)
	first := h.get()
	siblings := []Sibling{{InstallationID: "a0000000-0000-4000-8000-000000000000", Key: first.prekey(), Version: 1, ProtocolVersion: 1}}
	set := func(list []Sibling) Published {
		t.Helper()
		p, err := ask(h, func(r actors.Reply[Published]) any { return SetSiblings{r, list} })
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := set(siblings); len(p.Bundle.PreKeys) != 2 || p.Bundle.Timestamp <= first.Bundle.Timestamp {
		t.Errorf("got %+v", p.Bundle)
	}
	applied := h.disk.applied.Load()
	if p := set(siblings); len(p.Bundle.PreKeys) != 2 || h.disk.applied.Load() != applied {
		t.Error("the same siblings were signed again")
	}
	if p := set(nil); len(p.Bundle.PreKeys) != 1 {
		t.Errorf("got %+v", p.Bundle)
	}
}

// Who asked before the siblings changed may wait, but never gets a bundle
// without them afterwards.
func TestSiblingsThatComeDuringARenewalAreInIt(t *testing.T) {
	h := host(t)
	h.disk.gate.Lock()
	answered := make(chan Published, 2)
	reply := actors.ReplyFunc[Published]
	take := func(p Published, err error) {
		if err != nil {
			t.Error(err)
		}
		answered <- p
	}
	h.ref.Tell(GetBundle{reply(take)})
	h.ref.Tell(SetSiblings{reply(take), []Sibling{{InstallationID: "sibling", Version: 1}}})
	h.find(x3dh.PreKeyPublic{2})
	h.disk.gate.Unlock()
	for range 2 {
		if p := wait(t, answered); len(p.Bundle.PreKeys) != 2 {
			t.Errorf("a bundle of %d prekeys", len(p.Bundle.PreKeys))
		}
	}
}

// T11: whoever waits for a bundle hears of it when the actor ends.
func TestPanicAnswersEverybodyWhoWaits(t *testing.T) {
	h := host(t)
	first := h.get()
	h.disk.gate.Lock()
	h.now.Store(noon + hour)
	answered := make(chan error, 2)
	for range 2 {
		h.ref.Tell(GetBundle{actors.ReplyFunc(func(_ Published, err error) { answered <- err })})
	}
	// The renewal that follows this one needs randomness.
	h.ref.Tell(SetSiblings{Siblings: []Sibling{{InstallationID: "sibling"}}})
	h.find(first.prekey())
	h.now.Store(noon + day)
	h.random.panics.Store(true)
	h.disk.gate.Unlock()
	for range 2 {
		if err := wait(t, answered); err == nil {
			t.Error("no cause")
		}
	}
	if p := h.get(); p.prekey() == first.prekey() || p.Bundle.Timestamp <= first.Bundle.Timestamp {
		t.Error("no new bundle after the panic")
	}
}

func TestCorruptPreKeysStopTheActor(t *testing.T) {
	h := host(t)
	apply(t, h.disk.Store, persistence.Record{Name: preKeyName(owner, 1), Value: []byte("\xff")})
	h.restart()
	if _, err := h.tryGet(); !errors.Is(err, actors.ErrStopped) {
		t.Errorf("got %v", err)
	}
}
