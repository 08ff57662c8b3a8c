package wakurelay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/rookery-im/rookery/transport/carrier"
)

func isReady(t testing.TB, carriers ...*Carrier) {
	t.Helper()
	for _, c := range carriers {
		eventually(t, "the carrier is ready", func() bool { return c.Health().Ready })
	}
}

// TestMessagesPassThroughOthers holds that who is connected with one peer reaches all:
// peers in a row, where only the ends want the topic.
//
// Spec: 5.transport.2
func TestMessagesPassThroughOthers(t *testing.T) {
	const peers = 5
	row := make([]*Carrier, peers)
	takers := make([]*taker, peers)
	for i := range row {
		o := Options{Listen: nextIP().String() + ":0"}
		if i > 0 {
			o.Peers = row[i-1].Addresses()
		}
		row[i], takers[i] = open(t, o), newTaker()
		row[i].Receive(takers[i])
	}
	for _, i := range []int{0, peers - 1} {
		if err := row[i].Subscribe(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	isReady(t, row...)
	for _, c := range row[1 : peers-1] {
		eventually(t, "those in between are linked both ways", func() bool { return c.Health().Peers == 2 })
	}
	var want []string
	began := time.Now()
	for i := range 20 {
		m := message(fmt.Sprint("message ", i))
		want = append(want, string(m.Payload))
		if err := say(t, row[0], m); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range []int{0, peers - 1} {
		var got []string
		for range want {
			r := takers[i].next(t)
			if r.At < place(began) || r.At > place(time.Now()) {
				t.Errorf("its place is %s after the first was published", time.Duration(r.At-place(began)))
			}
			got = append(got, string(r.Payload))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("peer %d got %q", i, got)
		}
	}
	for i := 1; i < peers-1; i++ {
		if n := len(takers[i].messages); n > 0 {
			t.Errorf("peer %d got %d messages of a topic that it does not want", i, n)
		}
	}
}

// TestSeveralShards holds that all are listened to and the first is published to.
func TestSeveralShards(t *testing.T) {
	both, k := listening(t, Options{Shards: []uint16{64, 32}})
	first, _ := listening(t, Options{Shards: []uint16{32}, Peers: both.Addresses()})
	second, second64 := listening(t, Options{Shards: []uint16{64}, Peers: both.Addresses()})
	isReady(t, both, first, second)
	for i, from := range []*Carrier{first, second} {
		m := message(fmt.Sprint("message ", i))
		if err := say(t, from, m); err != nil {
			t.Fatal(err)
		}
		if got := k.next(t); string(got.Payload) != string(m.Payload) {
			t.Errorf("got %q", got.Payload)
		}
	}
	second64.next(t) // its own
	if err := say(t, both, message("on the first")); err != nil {
		t.Fatal(err)
	}
	if got := second64.next(t); string(got.Payload) != "on the first" {
		t.Errorf("got %q", got.Payload)
	}
}

// TestMessageOfTooFewPeersIsNotPublished holds MinPeers, and that a message which has
// reached too few is sent again when it is published again.
func TestMessageOfTooFewPeersIsNotPublished(t *testing.T) {
	first, second := newArchive(t), newArchive(t)
	_, near := first.wire(t)
	w, far := second.wire(t)
	w.cut()
	c, k := listening(t, Options{Peers: []string{near, far}, MinPeers: 2})
	eventually(t, "the first peer takes part", func() bool { return c.Health().Peers == 1 })
	m := message("one")
	if err := say(t, c, m); !errors.Is(err, carrier.ErrUnreachable) {
		t.Fatalf("published to one peer: %v", err)
	}
	if h := c.Health(); h.Ready || !errors.Is(h.Err, carrier.ErrUnreachable) {
		t.Errorf("health with one peer is %+v", h)
	}
	if len(k.messages) > 0 {
		t.Errorf("a message that is not published was delivered")
	}
	w.mend()
	isReady(t, c)
	for range 2 {
		if err := say(t, c, m); err != nil {
			t.Fatalf("published to two peers: %v", err)
		}
		if got := k.next(t); got.Hash() != m.Hash() {
			t.Errorf("got %q", got.Payload)
		}
	}
	eventually(t, "the second peer has it", func() bool {
		second.mu.Lock()
		defer second.mu.Unlock()
		return len(second.kept) == 1 && second.kept[0].Hash() == m.Hash()
	})
}

// TestMessageOnADeadConnectionIsNotPublished holds that a message counts only when it
// has arrived: a connection that is dead takes everything for a while.
func TestMessageOnADeadConnectionIsNotPublished(t *testing.T) {
	hub := newArchive(t)
	w, address := hub.wire(t)
	impatient := quick
	impatient.patience = time.Second
	c, k := listening(t, Options{Peers: []string{address}, pace: impatient})
	isReady(t, c)
	w.hush()
	m := message("into nothing")
	if err := say(t, c, m); !errors.Is(err, carrier.ErrUnreachable) {
		t.Fatalf("published on a dead connection: %v", err)
	}
	if len(k.messages) > 0 {
		t.Errorf("a message that is not published was delivered")
	}
	w.cut()
	w.mend()
	eventually(t, "it can be published", func() bool { return say(t, c, m) == nil })
}

// TestMessageOfAPeerThatLeavesIsGivenUp holds that nobody waits for what was handed to a
// peer that is gone, however patient he is.
func TestMessageOfAPeerThatLeavesIsGivenUp(t *testing.T) {
	hub := newArchive(t)
	w, address := hub.wire(t)
	patient := quick
	patient.patience = time.Hour
	c, _ := listening(t, Options{Peers: []string{address}, pace: patient})
	isReady(t, c)
	w.hush()
	result := make(chan error, 1)
	c.Publish(message("into nothing"), func(err error) { result <- err })
	eventually(t, "it is handed over", func() bool { return len(c.node.receipts.all()) == 1 })
	w.cut()
	select {
	case err := <-result:
		if !errors.Is(err, carrier.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	case <-time.After(atMost):
		t.Fatal("it is still waited for")
	}
}

// TestPublishingIsBounded holds that Publish refuses, and does not wait, when too much
// is on its way.
func TestPublishingIsBounded(t *testing.T) {
	hub := newArchive(t)
	w, address := hub.wire(t)
	const most = 10
	c, _ := listening(t, Options{Peers: []string{address}, Outgoing: most})
	isReady(t, c)
	w.hush()
	results := make(chan error, 3*most)
	for i := range 3 * most {
		c.Publish(message(fmt.Sprint("message ", i)), func(err error) { results <- err })
	}
	for range 2 * most {
		select {
		case err := <-results:
			if !errors.Is(err, carrier.ErrBusy) {
				t.Errorf("got %v", err)
			}
		case <-time.After(atMost):
			t.Fatal("Publish has not refused")
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for range most {
		if err := <-results; !errors.Is(err, carrier.ErrClosed) {
			t.Errorf("at Close: got %v", err)
		}
	}
}

// TestFewMessagesAreUnderway holds that peers are handed no more than they have room for
// until the first has arrived, and that what waits meanwhile does not wait forever.
func TestFewMessagesAreUnderway(t *testing.T) {
	hub := newArchive(t)
	w, address := hub.wire(t)
	impatient := quick
	impatient.patience = 2 * time.Second
	c, _ := listening(t, Options{Peers: []string{address}, pace: impatient})
	isReady(t, c)
	w.hush()
	const many = 3 * mostUnderway
	results := make(chan error, many)
	for i := range many {
		c.Publish(message(fmt.Sprint("message ", i)), func(err error) { results <- err })
	}
	eventually(t, "messages are underway", func() bool { return len(c.node.receipts.all()) >= mostUnderway })
	for len(results) == 0 {
		if n := len(c.node.receipts.all()); n > mostUnderway {
			t.Fatalf("%d messages are underway", n)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for range many {
		if err := <-results; !errors.Is(err, carrier.ErrUnreachable) {
			t.Fatalf("published on a dead connection: %v", err)
		}
	}
	w.cut()
	w.mend()
	for i := range many {
		eventually(t, "it can be published", func() bool { return say(t, c, message(fmt.Sprint("again ", i))) == nil })
	}
}

// TestPeersFindEachOtherAgain holds that a peer is dialed again and again, that the
// mesh forms again, and that Gap says what may be missing.
func TestPeersFindEachOtherAgain(t *testing.T) {
	hub := newArchive(t)
	w, address := hub.wire(t)
	c, k := listening(t, Options{Peers: []string{address}})
	opened := time.Now()
	isReady(t, c)
	// It was subscribed before there was a mesh.
	if since := <-k.gaps; since > place(opened) {
		t.Errorf("the first gap is %s after the start", time.Duration(since+int64(skew)-opened.UnixNano()))
	}
	for range 3 {
		if err := say(t, c, message("before")); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		w.cut()
		eventually(t, "the end is noticed", func() bool { return !c.Health().Ready })
		if h := c.Health(); h.Peers != 0 || h.Since.Before(before) || !errors.Is(h.Err, carrier.ErrUnreachable) {
			t.Errorf("health is %+v", h)
		}
		time.Sleep(100 * time.Millisecond)
		w.mend()
		isReady(t, c)
		if since := <-k.gaps; since > before.Add(-skew).UnixNano() {
			t.Errorf("the gap begins %s late", time.Duration(since+int64(skew)-before.UnixNano()))
		}
	}
	if n := len(k.gaps); n > 0 {
		t.Errorf("%d gaps too many", n)
	}
}

// TestNothingIsMissedBeforeAnythingIsWanted holds that there is no Gap without a topic.
func TestNothingIsMissedBeforeAnythingIsWanted(t *testing.T) {
	hub := newArchive(t)
	_, address := hub.wire(t)
	c, k := open(t, Options{Listen: nextIP().String() + ":0", Peers: []string{address}}), newTaker()
	c.Receive(k)
	isReady(t, c)
	never(t, "a gap is told", func() bool { return len(k.gaps) > 0 })
}

// TestUselessPeerIsLeft holds that a configured peer which does not relay our shard is
// told of, and connected with anew: it may have lost its way.
func TestUselessPeerIsLeft(t *testing.T) {
	s := newStranger(t, Options{Listen: nextIP().String() + ":0"})
	s.start()
	hasty := quick
	hasty.uselessFor = 100 * time.Millisecond
	c, _ := listening(t, Options{pace: hasty, Peers: []string{s.Addrs()[0].String() + "/p2p/" + s.ID().String()}})
	eventually(t, "Health tells of it", func() bool {
		err := c.Health().Err
		return err != nil && strings.Contains(err.Error(), "does not relay")
	})
	eventually(t, "it is connected with again", func() bool { return s.swarm.Connectedness(c.node.ID()) == network.Connected })
}

// TestNobodyIsDialedOnHearsay holds that an address counts only if it was configured,
// whatever peers say: connections go nowhere else, and no names are looked up.
func TestNobodyIsDialedOnHearsay(t *testing.T) {
	c, _ := listening(t, Options{})
	s := befriend(t, c)
	eventually(t, "it is connected", func() bool { return c.node.swarm.Connectedness(s.ID()) == network.Connected })
	c.node.Peerstore().AddAddrs(s.ID(), s.Addrs(), time.Hour)
	c.node.disconnect(s.ID())
	if err := c.node.dial(t.Context(), reachStranger(s)); err == nil {
		t.Errorf("a peer that is not configured was dialed")
	}
	if c.node.gate.InterceptPeerDial(s.ID()) {
		t.Errorf("a peer that is not configured may be dialed")
	}
	known := open(t, Options{Listen: nextIP().String() + ":0", Peers: []string{nextWay(s)}})
	if known.node.gate.InterceptAddrDial(s.ID(), s.Addrs()[0]) {
		t.Errorf("a configured peer may be dialed at an address that is not configured")
	}
}
