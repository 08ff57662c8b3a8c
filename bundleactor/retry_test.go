package bundleactor

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
)

// A bundle counts as published when a network has taken it: what is not taken is
// published again after a while that grows, and is then published as usual. It does not
// wait for the next time on schedule. Spec: 5.bundle-rotation.2
func TestPublicationThatIsNotTakenIsTriedAgain(t *testing.T) {
	h := hostPublishing(t)
	h.offline.Store(true)
	h.get()
	at := noon
	for failures := 1; failures <= 12; failures++ {
		h.tick(at)
		if got := h.tried.Load(); got != int64(failures) {
			t.Fatalf("%d tries, want %d", got, failures)
		}
		wait := int64(Retry(owner, failures))
		h.tick(at + wait - 1)
		if got := h.tried.Load(); got != int64(failures) {
			t.Fatalf("tried again %v after the last of %d tries", time.Duration(wait), failures)
		}
		at += wait
	}
	if state, err := Load(t.Context(), h.disk, owner); err != nil || state.Announced != 0 || state.Changed == 0 {
		t.Errorf("it counts as published, %v", err)
	}
	h.offline.Store(false)
	h.tick(at)
	wait(t, h.published)
	if state, err := Load(t.Context(), h.disk, owner); err != nil || state.Announced != at || state.Changed != 0 {
		t.Errorf("it does not count as published, %v", err)
	}
	h.tick(at + hour)
	h.none("once it was taken")
}

// When the network is back it is tried at once, and only by those who have failed.
func TestPublicationIsTriedAgainWhenTheNetworkIsBack(t *testing.T) {
	h := hostPublishing(t)
	h.get()
	h.ref.Tell(NetworkBack{})
	h.settle()
	h.none("without a failure")
	h.offline.Store(true)
	for n := range int64(100) {
		h.tick(noon + n*minute)
	}
	tried := h.tried.Load()
	h.offline.Store(false)
	h.ref.Tell(NetworkBack{})
	h.settle()
	if n := len(h.published); n != 1 || h.tried.Load() != tried+1 {
		t.Errorf("%d publications, %d tries", n, h.tried.Load()-tried)
	}
	h.ref.Tell(NetworkBack{})
	h.tick(noon + 101*minute)
	if n := len(h.published); n != 1 {
		t.Errorf("%d publications", n)
	}
}

// While the network has not answered nothing is published again, also not after a
// change, which is published afterwards: what was taken is not what there is now.
func TestChangeDuringAPublicationIsPublishedToo(t *testing.T) {
	h := hostPublishing(t)
	h.silent.Store(true)
	h.get()
	h.tick(noon)
	siblings := []Sibling{sibling(t, another, 1)}
	if _, err := ask(h, func(r actors.Reply[Published]) any { return SetSiblings{r, siblings} }); err != nil {
		t.Fatal(err)
	}
	for n := range int64(20) {
		h.tick(noon + n*minute)
	}
	if n := h.tried.Load(); n != 1 {
		t.Fatalf("%d publications while one was under way", n)
	}
	h.silent.Store(false)
	h.mu.Lock()
	accepted := h.unanswered[0]
	h.mu.Unlock()
	accepted(nil)
	h.settle()
	h.tick(noon + 40*minute)
	if p := wait(t, h.published); len(p.Bundle.PreKeys) != 2 {
		t.Errorf("published %+v", p)
	}
	h.tick(noon + 41*minute)
	h.none("afterwards")
}

// A store that does not take the note of a publication does not make it be published
// again and again.
func TestPublicationThatCannotBeNotedIsNotMadeAgain(t *testing.T) {
	h := hostPublishing(t)
	h.get()
	h.disk.failing.Store(true)
	for n := range int64(10) {
		h.tick(noon + n*minute)
	}
	if n := h.tried.Load(); n != 1 {
		t.Errorf("%d publications", n)
	}
	h.disk.failing.Store(false)
	h.tick(noon + 11*minute)
	if state, err := Load(t.Context(), h.disk, owner); err != nil || state.Announced != noon+11*minute {
		t.Errorf("it is not noted, %v", err)
	}
	h.tick(noon + 12*minute)
	if n := h.tried.Load(); n != 1 {
		t.Errorf("%d publications", n)
	}
}

// Who asks for the bundle while a publication is being noted gets one that is good.
func TestBundleThatIsAskedForDuringANoteIsGood(t *testing.T) {
	h := hostPublishing(t)
	h.get()
	h.silent.Store(true)
	h.tick(noon)
	h.disk.gate.Lock()
	h.mu.Lock()
	accepted := h.unanswered[0]
	h.mu.Unlock()
	accepted(nil)
	h.now.Store(noon + 2*hour)
	got := make(chan Published, 1)
	h.ref.Tell(GetBundle{actors.ReplyFunc(func(p Published, _ error) { got <- p })})
	h.disk.gate.Unlock()
	if p := wait(t, got); !p.Good(noon + 2*hour) {
		t.Errorf("got one that is good until %v", time.Duration(p.Until-noon))
	}
}

// A thousand installations that were made without a network, or lose it together, do
// not publish together, however long it lasts.
func TestTriesOfManyAreSpread(t *testing.T) {
	const many = 1000
	perTick := make(map[int64]int)
	total := 0
	for i := range many {
		id := persistence.NewOwnerID(binary.BigEndian.AppendUint32(nil, uint32(i)), ours)
		at := int64(0)
		for failures := 1; at < 3*hour; failures++ {
			wait := Retry(id, failures)
			if wait < retryLeast/2 || wait > retryMost || failures > 8 && wait < retryMost/3 {
				t.Fatalf("%v after %d failures", wait, failures)
			}
			at += int64(wait)
			perTick[at/int64(5*time.Second)]++
			total++
		}
	}
	for at, n := range perTick {
		if limit := many / 6; at > 12 && n > limit || at > 15*12 && n > limit/4 {
			t.Errorf("%d at %v", n, time.Duration(at)*5*time.Second)
		}
	}
	if total > many*(3*6+10) {
		t.Errorf("%d tries in three hours", total)
	}
	for _, failures := range []int{-1, 0, 1 << 40} {
		if wait := Retry(owner, failures); wait < retryLeast/2 || wait > retryMost {
			t.Errorf("%v after %d failures", wait, failures)
		}
	}
}
