package courier

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

func TestKindOfTopicForAMessage(t *testing.T) {
	for _, test := range []struct {
		kind   transport.Kind
		agreed bool
		want   topic.Kind
	}{
		{transport.KindPersonal, false, topic.KindPartitioned},
		{transport.KindPersonal, true, topic.KindNegotiated},
		{transport.KindContactCode, false, topic.KindContactCode},
		{transport.KindContactCode, true, topic.KindContactCode},
		{transport.KindPublic, false, topic.KindPublicChat},
		{transport.KindPublic, true, topic.KindPublicChat},
	} {
		if got := kindOf(transport.Address{Kind: test.kind}, test.agreed); got != test.want {
			t.Errorf("%v, agreed %v: %v", test.kind, test.agreed, got)
		}
	}
}

func TestWhoMaySendOnATopic(t *testing.T) {
	own, peer, other := x3dh.IdentityPublicKey{2}, x3dh.IdentityPublicKey{2, 1}, x3dh.IdentityPublicKey{2, 2}
	for _, test := range []struct {
		kind           topic.Kind
		identity, peer x3dh.IdentityPublicKey
		sender         x3dh.IdentityPublicKey
		err            error
		want           verdict
	}{
		{topic.KindPartitioned, own, none, other, nil, opened},
		{topic.KindPersonal, own, none, own, nil, opened},
		{topic.KindPublicChat, none, none, other, nil, opened},
		{topic.KindContactCode, own, none, own, nil, opened},
		{topic.KindContactCode, own, none, other, nil, misattributed},
		{topic.KindNegotiated, own, peer, peer, nil, opened},
		{topic.KindNegotiated, own, peer, own, nil, echo},
		{topic.KindNegotiated, own, peer, other, nil, misattributed},
		{topic.KindNegotiated, own, own, own, nil, opened}, // another installation
		{topic.KindNegotiated, own, own, other, nil, misattributed},
		{topic.KindPersonal, own, none, own, envelope.ErrUnsigned, unsigned},
		{topic.KindPersonal, own, none, own, envelope.ErrDecrypt, foreign},
		{topic.KindPersonal, own, none, own, envelope.ErrSignature, malformed},
		{topic.KindPersonal, own, none, own, envelope.ErrMalformed, malformed},
	} {
		r := &route{kind: test.kind, identity: test.identity, peer: test.peer}
		if got := r.verdictOf(&envelope.Opened{Signer: test.sender}, test.err); got != test.want {
			t.Errorf("%v of %x with %x from %x, %v: %d, want %d", test.kind, test.identity[:2], test.peer[:2], test.sender[:2], test.err, got, test.want)
		}
	}
}

var none x3dh.IdentityPublicKey

func TestWindowForgetsTheOldestFirst(t *testing.T) {
	w := newWindow(0, 3*blockSize, 1000)
	name := func(n int) id { return id{byte(n), byte(n >> 8), 1} }
	for n := range 5 * blockSize {
		w.add(name(n), 1)
		w.add(name(n), 1)
		if len(w.index) > 3*blockSize || !w.has(name(n)) {
			t.Fatalf("%d ids after %d", len(w.index), n)
		}
	}
	for n := range 5 * blockSize {
		if w.has(name(n)) != (n >= 2*blockSize) {
			t.Errorf("%d is known: %v", n, w.has(name(n)))
		}
	}
	w.add(name(9999), 1000)
	w.forget(1002)
	if len(w.index) != 1 || !w.has(name(9999)) {
		t.Errorf("%d left of an age ago", len(w.index))
	}
}

func TestWindowIsTheSameAfterARestart(t *testing.T) {
	store := memory.New()
	name := func(n int) id { return id{byte(n), byte(n >> 8), 1} }
	first, other := newWindow(0, 4*blockSize, math.MaxInt64), newWindow(1, 4*blockSize, math.MaxInt64)
	other.add(name(7), 1)
	for n := range 6*blockSize + 10 {
		first.add(name(n), int64(n))
		if n%100 != 0 {
			continue
		}
		for _, w := range []*window{first, other} {
			records, written := w.writes(int64(n))
			if len(records) > 6 {
				t.Fatalf("%d records at once", len(records))
			}
			if n%300 == 0 { // else the store did not take it
				apply(t, store, records)
				written()
			}
		}
	}
	records, written := first.writes(0)
	apply(t, store, records)
	written()
	if records, _ := first.writes(0); len(records) != 0 {
		t.Errorf("%d records of what is stored", len(records))
	}
	again := newWindow(0, 4*blockSize, math.MaxInt64)
	if err := again.loadAll(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	if len(again.index) != len(first.index) || len(again.blocks) != len(first.blocks) || again.next != first.next {
		t.Errorf("%d ids in %d blocks, next %d; want %d in %d, %d", len(again.index), len(again.blocks), again.next,
			len(first.index), len(first.blocks), first.next)
	}
	for n := range 6*blockSize + 10 {
		if again.has(name(n)) != first.has(name(n)) {
			t.Errorf("%d is known: %v", n, again.has(name(n)))
		}
	}
}

func TestUnsettledMessagesHoldRoomAndPlace(t *testing.T) {
	u := newUnderway(3, 100)
	routes := []*route{{id: id{1}}, {id: id{2}}}
	if u.oldest() != math.MaxInt64 || !u.fits(1000) {
		t.Error("an empty one has no room, or a place")
	}
	a := &arrival{id: id{9}, at: 50, size: 60, routes: routes}
	b := &arrival{id: id{8}, at: 40, size: 30, routes: routes[:1]}
	u.add(a)
	u.add(b)
	if u.oldest() != 40 || u.fits(11) || !u.fits(10) {
		t.Errorf("oldest %d", u.oldest())
	}
	if !u.has(a.id.on(routes[1])) || u.has(b.id.on(routes[1])) {
		t.Error("the wrong routes have them")
	}
	if u.through(a, routes[0]) || u.has(a.id.on(routes[0])) || !u.has(a.id.on(routes[1])) || u.oldest() != 40 {
		t.Error("one route is through, and both are")
	}
	if !u.through(b, routes[0]) || u.oldest() != 50 || !u.fits(40) {
		t.Error("nothing has come of the last one")
	}
	u.grow(a, 30)
	if u.fits(11) || !u.fits(10) || !u.through(a, routes[1]) || u.bytes != 0 || len(u.parts) != 0 {
		t.Errorf("%d bytes in the end", u.bytes)
	}
}

func TestGroupsAreSmallAndOfOneAge(t *testing.T) {
	const now = int64(1000 * time.Hour)
	var routes []*route
	add := func(n int, kind topic.Kind, age time.Duration, content string) {
		for i := range n {
			routes = append(routes, &route{
				kind: kind, content: carrier.Topic(fmt.Sprintf(content, i)),
				progress: progress{covered: now - int64(age)},
			})
		}
	}
	add(250, topic.KindPartitioned, time.Minute, "new %d")
	add(250, topic.KindPersonal, time.Minute, "new %d") // the same topics
	add(30, topic.KindPartitioned, 2*time.Minute, "a little older %d")
	add(30, topic.KindPartitioned, 7*24*time.Hour, "old %d")
	add(30, topic.KindPartitioned, 6*24*time.Hour, "nearly as old %d")
	add(120, topic.KindContactCode, time.Minute, "code %d")
	groups := groupsOf(routes, now, func(r *route) int64 { return r.covered })
	seen := make(map[*route]bool)
	for _, g := range groups {
		if len(g.topics) > groupTopics || len(g.topics) != len(g.byName) {
			t.Errorf("%d topics, %d names", len(g.topics), len(g.byName))
		}
		oldest := now
		for _, r := range g.routes {
			if seen[r] {
				t.Errorf("%s twice", r.content)
			}
			seen[r] = true
			oldest = min(oldest, r.covered)
			if (r.kind == topic.KindContactCode) != g.codes {
				t.Errorf("%s is with the wrong ones", r.content)
			}
			if spread := r.covered - g.since; spread > max(groupSpan, (now-r.covered)/4) {
				t.Errorf("%s is read %v too early", r.content, time.Duration(spread))
			}
		}
		if oldest != g.since {
			t.Errorf("read from %d, want %d", g.since, oldest)
		}
	}
	if len(seen) != len(routes) || len(groups) != 3+1+2 {
		t.Errorf("%d routes of %d, %d groups", len(seen), len(routes), len(groups))
	}
	// What belongs to a topic is read together.
	for _, g := range groups {
		for _, r := range g.routes {
			if len(g.byName[r.content]) != 2 && r.covered == now-int64(time.Minute) && !g.codes {
				t.Errorf("%s is read twice", r.content)
			}
		}
	}
	if groups := groupsOf(nil, now, nil); len(groups) != 0 {
		t.Errorf("%d groups of nothing", len(groups))
	}
}

func TestGroupGivesOldMessagesOnlyToThoseWhoLackThem(t *testing.T) {
	early, late := &route{content: "x", progress: progress{covered: 100}}, &route{content: "x", progress: progress{covered: 200}}
	g := groupsOf([]*route{early, late}, 1000, func(r *route) int64 { return r.covered })[0]
	for _, test := range []struct {
		at   int64
		lied bool
		want []*route
	}{
		{300, false, []*route{early, late}},
		{190, false, []*route{early, late}},
		{189, false, []*route{early}},
		{90, false, []*route{early}},
		{89, false, nil},
		{89, true, []*route{early, late}},
	} {
		g.lied = test.lied
		if got := g.on("x", test.at, 10); !slices.Equal(got, test.want) {
			t.Errorf("at %d, lied %v: %d routes", test.at, test.lied, len(got))
		}
	}
	if got := g.on("y", 300, 10); got != nil {
		t.Errorf("%d routes of another topic", len(got))
	}
}

func TestPeersThatNeverAnsweredLeaveFirst(t *testing.T) {
	peer := func(n byte) x3dh.IdentityPublicKey { return x3dh.IdentityPublicKey{2, n} }
	s := &subscription{negotiated: map[x3dh.IdentityPublicKey]*route{
		peer(1): {used: 1, proven: true}, peer(2): {used: 9}, peer(3): {used: 5}, peer(4): {used: 2, proven: true},
	}}
	for _, want := range []byte{3, 2, 1, 4} {
		if got := s.leastWanted(); got != s.negotiated[peer(want)] {
			t.Fatalf("%+v leaves, not %d", got, want)
		}
		delete(s.negotiated, peer(want))
	}
}

// The clock of the history decides, not ours: what it may still be going to get is
// not passed by because our clock is ahead.
func TestReadingIsCoveredOnlyAsFarAsMessagesGo(t *testing.T) {
	c := coverage{horizon: func(*route) int64 { return 1000 }, routes: make(map[id]*route)}
	r := &route{}
	c.join(r, 5000)
	r.live = true
	c.settled(4500)
	c.begin(r)
	c.finish(r, outcome{through: true, at: 5000}, 5000)
	if r.covered != 4500 || r.behind {
		t.Errorf("covered until %d, behind %v", r.covered, r.behind)
	}
	if at := c.place(r, 4400, math.MaxInt64); at != 4400 { // our own is the bound
		t.Errorf("at %d", at)
	}
}

func TestPlacesOfTopicsThatNobodyWantsExpire(t *testing.T) {
	const horizon = 10 * grace
	c := coverage{horizon: func(*route) int64 { return horizon }, routes: make(map[id]*route)}
	stays, gone := &route{id: id{1}}, &route{id: id{2}}
	now := 100 * grace
	for _, r := range []*route{stays, gone} {
		c.join(r, now)
		r.stored = asFollowing
	}
	c.leave(gone, now, math.MaxInt64)
	if all := c.expired(now + horizon); len(all) != 0 {
		t.Errorf("%d expired early", len(all))
	}
	if all := c.expired(now + horizon + grace); len(all) != 1 || all[0] != gone || len(c.routes) != 1 {
		t.Errorf("%d expired, %d left", len(all), len(c.routes))
	}
	// After a start those who come back have a while.
	c.load(&route{id: id{3}, progress: progress{stored: asOwn, storedAt: 1, left: 1}}, now+100*horizon)
	if all := c.expired(now + 100*horizon + grace); len(all) != 0 {
		t.Errorf("%d expired at the start", len(all))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Carrier: idle{}, Store: memory.New()}
	for name, change := range map[string]func(*Options){
		"no carrier":     func(o *Options) { o.Carrier = nil },
		"no store":       func(o *Options) { o.Store = nil },
		"overlap":        func(o *Options) { o.Overlap = -1 },
		"look back":      func(o *Options) { o.LookBack = -2 },
		"rate":           func(o *Options) { o.Rate = -1 },
		"burst":          func(o *Options) { o.Burst = -1 },
		"pending":        func(o *Options) { o.MaxPending = -1 },
		"segments":       func(o *Options) { o.Segments.Age = 1 },
		"segment size":   func(o *Options) { o.SegmentSize = carrier.MaxPayload },
		"no segments":    func(o *Options) { o.SegmentSize = -5 },
		"history":        func(o *Options) { o.History = -time.Hour },
		"contact codes":  func(o *Options) { o.ContactCodes = -time.Hour },
		"seen":           func(o *Options) { o.MaxSeen = -1 },
		"length of them": func(o *Options) { o.MaxHistory = -1 },
	} {
		o := good
		change(&o)
		if _, err := New(t.Context(), o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := fmt.Sprintf("%v %+v", good, good); len(got) > 150 {
		t.Errorf("options show %q", got)
	}
}
