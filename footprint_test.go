package rookery_test

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/transport"
)

// collected is what is in memory when the collector has been there.
func collected() (m runtime.MemStats) {
	for range 3 { // pools give up what they hold in two
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m
}

// heap is what is in use of it, in bytes.
func heap() int64 {
	m := collected()
	return int64(m.HeapAlloc + m.StackInuse)
}

// The estimates that Options.MemoryBudget is kept by are within a third of what is
// measured, and one who sleeps takes next to nothing. What the store gathers is no part of
// them: built without C or with the race detector Pebble's memory is in Go's heap, so
// the store has little of it; nor is what a search for leaks would remember.
func TestMemoryIsNearTheEstimate(t *testing.T) {
	const people, contacts = 200, 5
	store, err := pebble.Open(filepath.Join(t.TempDir(), "store"), pebble.Options{CacheBytes: 64 << 10, MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldWatchedBy(nil, t, on(store), func(o *rookery.Options) {
		o.MemoryBudget = -1
		o.Handler = func(e rookery.Event) { // and keeps none of them
			if m, ok := e.(interface{ Ack() }); ok {
				m.Ack()
			}
		}
	})
	empty := heap()
	var all []device
	for range people {
		all = append(all, w.person(1)[0])
	}
	w.asleep(all...)
	asleep := heap()
	for n, d := range all {
		for c := range contacts {
			other := all[(n+c+1)%people]
			w.introduce(w.at(d), w.at(other))
			w.send(d, other.key, "hello")
		}
	}
	eventually(t, "delivery", func() bool { return w.engine.Counts().Acknowledged == people*contacts })
	w.asleep(all...)
	base := heap()
	wake := func(what string, weight, count int64, f func(n int, d device)) {
		t.Helper()
		for n, d := range all {
			f(n, d)
		}
		for _, d := range all {
			w.settled(d)
		}
		now := heap()
		each := (now - base) / count
		t.Logf("%s: %d bytes, estimated %d", what, each, weight)
		if each > weight*4/3 || each < weight*2/3 {
			t.Errorf("%s: %d bytes, estimated %d", what, each, weight)
		}
		base = now
	}
	wake("identity", rookery.IdentityWeight, people, func(n int, d device) {
		if n%2 == 0 { // some have their prekeys or their inbox in memory, others neither
			w.at(d).AskPreKeys()
		}
		if _, err := w.at(d).Bundle(w.context()); err != nil {
			t.Fatal(err)
		}
	})
	wake("contact", rookery.ContactWeight, people*contacts, func(n int, d device) {
		for c := range contacts {
			w.settle(d, all[(n+c+1)%people].key)
		}
	})
	wake("session", rookery.SessionWeight, people*contacts, func(n int, d device) {
		for c := range contacts {
			w.air.setRule(func(transport.Envelope) verdict { return hold })
			w.send(d, all[(n+c+1)%people].key, "hello again")
		}
	})
	t.Logf("asleep: %d bytes", (asleep-empty)/people)
}

// What an identity that wakes makes for its contacts is in one piece with its actor: of
// each object more the collector would look at one for each of very many identities.
func TestContactsCostAnIdentityNoObject(t *testing.T) {
	w := newWorld(t, backends[1])
	i := w.at(w.person(1)[0])
	if n := testing.AllocsPerRun(1000, i.MakeForContacts); n > 1 {
		t.Errorf("%v objects", n)
	}
}
