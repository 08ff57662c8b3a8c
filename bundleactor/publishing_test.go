package bundleactor

import (
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/x3dh"
)

// Spec: 5.bundle-rotation.2
func TestBundleIsPublishedOnChangeAndOnSchedule(t *testing.T) {
	h := hostPublishing(t)
	delay := jitter(DefaultSchedule(), owner)
	h.tick(noon)
	h.none("without a bundle")
	first := h.get()
	if h.tick(noon); !reflect.DeepEqual(wait(t, h.published), first) {
		t.Error("the first publication is of another bundle")
	}
	at := noon
	for range 3 {
		next := at + publish + delay
		h.tick(next - 1)
		h.none("before it is time")
		h.tick(next)
		if p := wait(t, h.published); p.Bundle.Timestamp != next || p.prekey() != first.prekey() {
			t.Errorf("on schedule %+v", p)
		}
		h.tick(next + 1)
		h.none("again at once")
		at = next
	}
	changed := at + hour
	h.now.Store(changed)
	siblings := []Sibling{sibling(t, another, 1)}
	if _, err := ask(h, func(r actors.Reply[Published]) any { return SetSiblings{r, siblings} }); err != nil {
		t.Fatal(err)
	}
	h.tick(changed + delay - 1)
	h.none("before its place in the spread")
	h.tick(changed + delay)
	if p := wait(t, h.published); len(p.Bundle.PreKeys) != 2 {
		t.Errorf("after a change %+v", p)
	}
	h.tick(noon + day) // rotates by itself
	h.none("with the rotation")
	h.tick(noon + day + delay)
	if p := wait(t, h.published); p.prekey() == first.prekey() {
		t.Errorf("after the rotation %+v", p)
	}
	h.tick(noon + day + delay + 1)
	h.none("at the end")
}

// T08: a clock that comes back does not silence the installation, nor make it
// talk all the time.
func TestPublicationsGoOnAfterTheClockCameBack(t *testing.T) {
	h := hostPublishing(t)
	delay := jitter(DefaultSchedule(), owner)
	h.now.Store(noon + 100*day)
	h.get()
	h.tick(noon + 100*day)
	wait(t, h.published)
	h.tick(noon)
	h.none("as the clock came back")
	h.tick(noon + delay)
	if p := wait(t, h.published); !p.Doubted {
		t.Errorf("got %+v", p)
	}
	h.tick(noon + delay + 1)
	h.none("again at once")
	h.tick(noon + delay + publish + delay)
	wait(t, h.published)
}

func TestRestartDoesNotPublishEarly(t *testing.T) {
	h := hostPublishing(t)
	h.get()
	h.tick(noon)
	wait(t, h.published)
	h.restart()
	h.tick(noon + publish - 1)
	h.none("after a restart")
	late := noon + publish + day
	h.now.Store(late) // everything is due, and the clock says so from the start on
	h.restart()
	h.tick(late)
	h.none("in the first moment of a process")
	delay := jitter(DefaultSchedule(), owner)
	h.tick(late + delay - 1)
	h.none("before its place in the spread")
	h.tick(late + delay)
	wait(t, h.published)
}

func TestNothingIsPublishedBeforeItIsDurable(t *testing.T) {
	h := hostPublishing(t)
	h.get()
	h.now.Store(noon + 2*hour) // it has to be signed anew
	h.disk.gate.Lock()
	h.system.Sweep(time.Unix(0, noon+2*hour))
	h.find(x3dh.PreKeyPublic{2})
	h.none("while the disk is busy")
	h.disk.gate.Unlock()
	wait(t, h.published)
	h.settle() // that the network has it is noted
	h.disk.failing.Store(true)
	for i := range int64(3) {
		h.tick(noon + day/2 + i)
		h.none("by a broken disk")
	}
	h.disk.failing.Store(false)
	h.tick(noon + day/2 + 4)
	wait(t, h.published)
	h.none("at the end")
}

// A panic while a new prekey is on its way to the disk: the next life waits for
// what becomes of it, and takes no word about it from the one before.
func TestPanicDuringARenewalShowsNothingThatIsLost(t *testing.T) {
	for name, outcome := range map[string]error{"kept": nil, "lost": errDisk} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { panicDuringARenewal(t, outcome) })
		})
	}
}

func panicDuringARenewal(t *testing.T, outcome error) {
	t.Cleanup(func() { time.Sleep(time.Second) }) // a dead letter leaves a goroutine for a moment
	panicked, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h := hostWith(t, func(Published, func(error)) {
		once.Do(func() {
			close(panicked)
			panic("publication failed")
		})
	})
	first := h.get()
	batches := 0
	h.disk.before = func() error {
		if batches++; batches != 2 {
			return nil
		}
		<-held
		return outcome
	}
	// The publication's batch waits, a rotation is asked for meanwhile
	// and is what is on its way when Publish panics.
	h.now.Store(noon + hour)
	h.disk.gate.Lock()
	h.system.Sweep(time.Unix(0, noon+hour))
	h.ref.Tell(Rotate{})
	h.find(first.prekey())
	h.disk.gate.Unlock()
	wait(t, panicked)
	h.now.Store(noon + 3*hour)
	answered := make(chan Published, 1)
	h.ref.Tell(Rotate{actors.ReplyFunc(func(p Published, err error) {
		if err != nil {
			t.Error(err)
		}
		answered <- p
	})})
	synctest.Wait()
	if len(answered) > 0 {
		t.Fatal("answered while the disk was busy")
	}
	close(held)
	p := wait(t, answered)
	if t.Failed() {
		return
	}
	want := uint32(3)
	if outcome != nil {
		want = 2
	}
	if p.Bundle.PreKeys[0].Version != want {
		t.Errorf("got version %d, want %d", p.Bundle.PreKeys[0].Version, want)
	}
	state, err := Load(t.Context(), h.disk, owner)
	if err != nil || find(t, state.Keys, p.prekey()) == nil {
		t.Errorf("the prekey shown is not in the store, %v", err)
	}
}

// What somebody else has published counts like what the actor does, once it is durable:
// there is nothing left to publish, unless the bundle has become another one meanwhile.
func TestBundleThatOthersHavePublishedCounts(t *testing.T) {
	h := hostPublishing(t)
	first := h.get()
	h.ref.Tell(Taken{&first.Bundle})
	h.settle()
	if s, err := Load(t.Context(), h.disk, owner); err != nil || s.Announced != noon || s.Changed != 0 {
		t.Errorf("announced %d, changed %d, %v", s.Announced, s.Changed, err)
	}
	h.tick(noon)
	h.none("although it is published")
	siblings := []Sibling{sibling(t, another, 1)}
	h.now.Store(noon + hour)
	if _, err := ask(h, func(r actors.Reply[Published]) any { return SetSiblings{r, siblings} }); err != nil {
		t.Fatal(err)
	}
	h.ref.Tell(Taken{&first.Bundle})
	h.settle()
	if s, err := Load(t.Context(), h.disk, owner); err != nil || s.Announced != noon+hour || s.Changed != noon+hour {
		t.Errorf("of an older one: announced %d, changed %d, %v", s.Announced, s.Changed, err)
	}
}
