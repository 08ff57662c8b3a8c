package bundleactor

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

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
	h.now.Store(noon - year)
	h.restart()
	second := h.get()
	if second.Bundle.Timestamp <= first.Bundle.Timestamp || second.prekey() != first.prekey() {
		t.Errorf("signed at %d after %d", second.Bundle.Timestamp, first.Bundle.Timestamp)
	}
	if first.Doubted || !second.Doubted {
		t.Error("the clock is not doubted")
	}
}

// T32: a restart is no reason for another bundle.
func TestBundleIsTheSameAfterARestart(t *testing.T) {
	h := host(t)
	first := h.get()
	h.now.Store(noon + hour - 1)
	h.restart()
	if second := h.get(); !reflect.DeepEqual(second, first) || h.disk.applied.Load() != 1 {
		t.Errorf("%+v became %+v in %d batches", first, second, h.disk.applied.Load())
	}
}

// T08: a first bundle is refused, and made when the clock is right.
func TestImpossibleClockIsReported(t *testing.T) {
	h := host(t)
	h.now.Store(0)
	if _, err := h.tryGet(); !errors.Is(err, ErrClock) {
		t.Errorf("got %v", err)
	}
	h.now.Store(noon)
	if p := h.get(); p.Bundle.Timestamp != noon {
		t.Errorf("got %+v", p)
	}
}

// rotate asks for a bundle to start over with.
func (h *hosted) rotate() Published {
	h.t.Helper()
	p, err := ask(h, func(r actors.Reply[Published]) any { return Rotate{r} })
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func TestRotateGivesAPreKeyNobodyHasOnceAnHour(t *testing.T) {
	h := host(t)
	first := h.rotate() // the first prekey is new enough by itself
	h.now.Store(noon + hour - 1)
	if p := h.rotate(); p.prekey() != first.prekey() || h.disk.applied.Load() != 1 {
		t.Error("rotated within the hour")
	}
	h.restart() // the hour goes on
	if p := h.rotate(); p.prekey() != first.prekey() {
		t.Error("rotated within the hour, after a restart")
	}
	h.now.Store(noon + hour)
	second := h.rotate()
	if second.prekey() == first.prekey() || second.Bundle.PreKeys[0].Version != 2 || second.Bundle.Timestamp <= first.Bundle.Timestamp {
		t.Errorf("after an hour %+v", second)
	}
	if p := h.rotate(); p.prekey() != second.prekey() {
		t.Error("rotated twice")
	}
	if found := h.find(first.prekey()); found == nil || !slices.Equal(found.Newer, []x3dh.PreKeyPublic{second.prekey()}) {
		t.Errorf("the replaced prekey: %+v", found)
	}
	if p := h.get(); p.prekey() != second.prekey() {
		t.Error("the old bundle is still shown")
	}
}

// A request to start over that comes while a bundle is being signed again gets
// a new prekey, not that bundle; two such requests get the same.
func TestRotateDuringARenewalIsNotForgotten(t *testing.T) {
	h := host(t)
	first := h.get()
	answered := make(chan Published, 3)
	reply := func() actors.Reply[Published] {
		return actors.ReplyFunc(func(p Published, err error) {
			if err != nil {
				t.Error(err)
			}
			answered <- p
		})
	}
	during := func(at int64, messages ...any) {
		t.Helper()
		h.now.Store(at)
		h.disk.gate.Lock()
		h.ref.Tell(GetBundle{})
		for _, m := range messages {
			h.ref.Tell(m)
		}
		h.find(first.prekey())
		h.disk.gate.Unlock()
	}
	// SetSiblings asks for less, and takes nothing back.
	during(noon+hour, Rotate{reply()}, Rotate{reply()}, SetSiblings{Reply: reply()})
	second := wait(t, answered)
	for range 2 {
		if p := wait(t, answered); !reflect.DeepEqual(p, second) {
			t.Errorf("got %+v and %+v", second, p)
		}
	}
	if second.prekey() == first.prekey() {
		t.Error("no new prekey")
	}
	during(noon+2*hour, SetSiblings{reply(), []Sibling{sibling(t, another, 1)}})
	if p := wait(t, answered); len(p.Bundle.PreKeys) != 2 || h.find(second.prekey()).Newer != nil {
		t.Error("rotated although nobody asked for it again")
	}
}

// Two renewals at once would each make a prekey, and lose one of them.
func TestSweepDuringARenewalDoesNothing(t *testing.T) {
	h := host(t)
	first := h.get()
	h.now.Store(noon + day)
	h.disk.gate.Lock()
	answered := make(chan Published, 1)
	h.ref.Tell(GetBundle{actors.ReplyFunc(func(p Published, _ error) { answered <- p })})
	h.system.Sweep(time.Unix(0, noon+day))
	h.find(first.prekey())
	h.disk.gate.Unlock()
	second := wait(t, answered)
	h.settled()
	if found := h.find(second.prekey()); found == nil || found.Newer != nil {
		t.Errorf("the prekey shown: %+v", found)
	}
	if found := h.find(first.prekey()); len(found.Newer) != 1 {
		t.Errorf("replaced by %d prekeys", len(found.Newer))
	}
}

func TestGetUsableAnswersEveryPreKeyThatExists(t *testing.T) {
	h := host(t)
	usable := func() []x3dh.PreKeyPublic {
		t.Helper()
		list, err := ask(h, func(r actors.Reply[[]x3dh.PreKeyPublic]) any { return GetUsable{r} })
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := usable(); len(list) != 0 {
		t.Errorf("%d prekeys before the first", len(list))
	}
	first := h.get()
	h.now.Store(noon + day)
	second := h.get()
	if list := usable(); !slices.Equal(list, []x3dh.PreKeyPublic{first.prekey(), second.prekey()}) {
		t.Errorf("%d prekeys", len(list))
	}
	h.restart()
	if list := usable(); len(list) != 2 {
		t.Errorf("%d prekeys after a restart", len(list))
	}
	h.now.Store(noon + 15*day)
	h.get()
	if list := usable(); len(list) != 2 || slices.Contains(list, first.prekey()) {
		t.Errorf("%d prekeys after the grace of the first", len(list))
	}
}

// T44: an installation that only receives still rotates and destroys.
// Spec: 5.bundle-rotation.1
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
	state, err := Load(t.Context(), h.disk, owner)
	if err != nil || find(t, state.Keys, first.prekey()) != nil {
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

// Spec: 5.multi-device.2 5.pairing.8 5.pairing.10
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
	if _, err := h.tryGet(); !errors.Is(err, actors.ErrCorruptState) {
		t.Errorf("got %v", err)
	}
	if _, err := h.tryGet(); !errors.Is(err, actors.ErrStopped) {
		t.Errorf("afterwards: got %v", err)
	}
}
