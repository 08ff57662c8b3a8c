package wakurelay

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rookery-im/rookery/transport/carrier"
)

// diary writes down what an inbox hands up.
type diary struct {
	said []string
	hold chan struct{} // one message goes for each
}

func (d *diary) Deliver(r carrier.Received) {
	<-d.hold
	d.said = append(d.said, fmt.Sprint("at ", r.At))
}

func (d *diary) Gap(since int64) { d.said = append(d.said, fmt.Sprint("gap ", since)) }

// TestFullInboxDropsAndTells holds that what finds no room is told once, from the first
// on, when there is room again.
func TestFullInboxDropsAndTells(t *testing.T) {
	for name, b := range map[string]*inbox{
		"by count": newInbox(4, 1000),
		"by bytes": newInbox(1000, 40),
	} {
		t.Run(name, func(t *testing.T) {
			l := &diary{hold: make(chan struct{}, 100)}
			push := func(at int64) {
				b.push(carrier.Received{Message: carrier.Message{Payload: make([]byte, 10)}, At: at})
			}
			for at := range int64(8) {
				push(at + 10) // 14 and on find no room
			}
			b.miss(12) // the earliest counts
			b.miss(16)
			b.receive(l)
			done := make(chan struct{})
			go func() {
				defer close(done)
				b.deliver()
			}()
			for range 4 {
				l.hold <- struct{}{}
			}
			eventually(t, "all is handed up", func() bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return len(b.waiting) == 0 && !b.hasGap
			})
			l.hold <- struct{}{}
			push(20)
			eventually(t, "a new one is taken", func() bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return len(b.waiting) == 0
			})
			b.close()
			push(30)
			<-done
			// Half of the room has to be free before a gap is told.
			if want := []string{"at 10", "at 11", "gap 12", "at 12", "at 13", "at 20"}; !slices.Equal(l.said, want) {
				t.Errorf("got %q, want %q", l.said, want)
			}
			if b.bytes != 0 && len(b.waiting) == 0 && !b.closed {
				t.Errorf("%d bytes wait", b.bytes)
			}
		})
	}
}

// TestMeshCountsWhenItHasHeld holds when a shard is ready and what is said to be missing:
// from when the last peer was heard, which is before it is known to be gone.
func TestMeshCountsWhenItHasHeld(t *testing.T) {
	synctest.Test(t, meshCounts)
}

func meshCounts(t *testing.T) {
	const after = 50 * time.Millisecond
	missed := make(chan time.Time, 10)
	m := newMeshes([]string{"a", "b"}, 2, after, func(since time.Time) { missed <- since })
	defer m.close()
	ready := func() bool { r, _, _ := m.health(); return r }
	one, two, three := peer.ID("1"), peer.ID("2"), peer.ID("3")

	m.graft(one, "a")
	m.graft(two, "a")
	m.prune(two, "a") // refused at once
	time.Sleep(2 * after)
	if ready() || len(missed) > 0 {
		t.Fatal("a mesh of one peer counts")
	}
	m.graft(two, "a")
	start := m.shards["a"].lost
	if since := <-missed; !since.Equal(start) {
		t.Errorf("missed since %s, want %s", since, start)
	}
	if ready() {
		t.Fatal("one mesh of two counts")
	}
	m.graft(one, "b")
	m.graft(three, "b")
	<-missed
	if r, since, peers := m.health(); !r || time.Since(since) > 0 || peers != 3 {
		t.Errorf("ready %t, since %s, %d peers", r, since, peers)
	}
	m.graft(three, "a") // one more than needed
	m.remove(two)
	if !ready() {
		t.Error("not ready with peers enough")
	}
	m.hear(one)
	heard := m.shards["a"].heard
	time.Sleep(after)
	m.remove(one)
	if r, since, peers := m.health(); r || time.Since(since) > 0 || peers != 1 {
		t.Errorf("ready %t, since %s, %d peers", r, since, peers)
	}
	m.graft(one, "a")
	if since := <-missed; !since.Equal(heard) {
		t.Errorf("missed since %s, want %s", since, heard)
	}
	m.graft(one, "no shard of ours")
	m.subscribe(one, "no shard of ours", true)
	if m.knows(one) || len(m.shards) != 2 {
		t.Error("a foreign shard is kept")
	}
	m.subscribe(one, "b", true)
	if !m.knows(one) || len(m.takingPart("b")) != 1 {
		t.Error("who takes part is not known")
	}
	m.subscribe(one, "b", false)
	if m.knows(one) {
		t.Error("who has left is known")
	}
}

// TestBansAreBounded holds that strangers cannot fill memory, and that a ban ends.
func TestBansAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(nil, time.Minute)
		for i := range mostBanned + 100 {
			g.ban(peer.ID(fmt.Sprint(i)))
		}
		if n := len(g.until); n > mostBanned {
			t.Errorf("%d are banned", n)
		}
		last := peer.ID(fmt.Sprint(mostBanned + 99))
		time.Sleep(time.Minute)
		if !g.isBanned(last) {
			t.Error("the last one is not banned")
		}
		time.Sleep(time.Nanosecond)
		if g.isBanned(last) {
			t.Error("a ban does not end")
		}
	})
}
