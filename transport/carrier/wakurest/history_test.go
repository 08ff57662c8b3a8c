package wakurest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

// way is one of the ways to a store.
type way struct {
	name        string
	asked, from func(*standin.Network) *standin.Node // from is nil: it is the asked one
	fault       *standin.Fault                       // for the third version
}

func node(o standin.Options) func(*standin.Network) *standin.Node {
	return func(n *standin.Network) *standin.Node { return n.Node(o) }
}

var ways = []way{
	{name: "go-waku itself, first version", asked: node(standin.Options{})},
	{name: "go-waku asks nwaku, third version", asked: node(standin.Options{NoStore: true}), from: node(standin.Options{Flavour: standin.Nwaku})},
	{name: "nwaku itself, third version", asked: node(standin.Options{Flavour: standin.Nwaku})},
	{name: "nwaku asks nwaku, third version", asked: node(standin.Options{Flavour: standin.Nwaku, NoStore: true}), from: node(standin.Options{Flavour: standin.Nwaku})},
	{name: "nwaku itself, first version", asked: node(standin.Options{Flavour: standin.Nwaku}), fault: &standin.Fault{Status: 404}},
}

// open gives the node that keeps, and a history that asks.
func (w *way) open(t *testing.T) (from *standin.Node, h *wakurest.History) {
	t.Helper()
	from, h, _ = w.openCounted(t)
	return from, h
}

// openCounted gives the number of questions, too.
func (w *way) openCounted(t *testing.T) (*standin.Node, *wakurest.History, *atomic.Int32) {
	t.Helper()
	network := standin.NewNetwork()
	asked := w.asked(network)
	from := asked
	if w.from != nil {
		from = w.from(network)
	}
	questions := new(atomic.Int32)
	asked.Fail(func(r *http.Request) *standin.Fault {
		questions.Add(1)
		if strings.HasPrefix(r.URL.Path, "/store/v3/") {
			return w.fault
		}
		return nil
	})
	return from, openHistory(t, quick(serveNode(t, asked)).OfAnInstant(2000)), questions
}

func openHistory(t *testing.T, o wakurest.Options) *wakurest.History {
	t.Helper()
	h, err := wakurest.NewHistory(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// kept makes n messages of the last week, on several topics in turn.
func kept(n int, topics ...carrier.Topic) []standin.Message {
	all := make([]standin.Message, n)
	start, step := time.Now().Add(-7*24*time.Hour), 7*24*time.Hour/time.Duration(n)
	for i := range all {
		at := start.Add(step * time.Duration(i))
		all[i] = standin.Message{
			PubsubTopic: wakurest.PubsubTopic, ContentTopic: string(topics[i%len(topics)]), Payload: fmt.Appendf(nil, "message %d", i), Time: at.UnixNano(),
		}
	}
	return all
}

// TestWeekIsReadInOrderAndInBoundedMemory in each of the ways.
func TestWeekIsReadInOrderAndInBoundedMemory(t *testing.T) {
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			n := 10_000
			if i%2 == 1 || i == 4 { // by another node, and by a version that is not used
				n = 3_000
			}
			all := kept(n, topic)
			from, h, questions := w.openCounted(t)
			from.Keep(all...)
			heap := func() int {
				runtime.GC()
				var stats runtime.MemStats
				runtime.ReadMemStats(&stats)
				return int(stats.HeapAlloc)
			}
			before, most, i := heap(), 0, 0
			err := h.History(t.Context(), []carrier.Topic{topic}, 0, math.MaxInt64, func(r carrier.Received) error {
				if string(r.Payload) != string(all[i].Payload) || r.Time != all[i].Time || r.At != r.Time || r.Topic != topic {
					return fmt.Errorf("message %d is %q of %d", i, r.Payload, r.Time)
				}
				if i++; i%1000 == 0 {
					most = max(most, heap()-before)
				}
				return nil
			})
			if err != nil || i != n {
				t.Errorf("%d messages, then %v", i, err)
			}
			// Each page is asked for once: no cursor is refused.
			if asked := int(questions.Load()); asked > n/100+1 {
				t.Errorf("%d questions for %d pages", asked, n/100)
			}
			if most > 1<<19 { // all of them are more
				t.Errorf("the heap grew by %d bytes", most)
			}
		})
	}
}

// TestManyTopicsAreMergedInOrder: a question names ten of them.
func TestManyTopicsAreMergedInOrder(t *testing.T) {
	topics := make([]carrier.Topic, 64)
	for i := range topics {
		topics[i] = carrier.Topic(fmt.Sprintf("/waku/1/0x%08x/rfc26", i))
	}
	topics[7] = "/waku/1/" + carrier.Topic(strings.Repeat("x", 200)) + "/rfc26"
	all := kept(1000, topics...)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			from, h := w.open(t)
			from.Keep(all...)
			since, until := all[100].Time, all[900].Time
			var got []string
			// Some are named twice, and some have nothing.
			err := h.History(t.Context(), append(slices.Clone(topics[:50]), topics[3], "/none/1/of/these"), since, until, func(r carrier.Received) error {
				got = append(got, string(r.Payload))
				return nil
			})
			var want []string
			for i := 100; i < 900; i++ {
				if i%64 < 50 {
					want = append(want, string(all[i].Payload))
				}
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d messages, want %d, then %v", len(got), len(want), err)
			}
		})
	}
}

// TestLyingStores: whatever a node answers, History ends, soon and with an error of
// the port, or has everything.
func TestLyingStores(t *testing.T) {
	const n = 1000
	all := kept(n, topic, "/waku/1/0x99999999/rfc26")
	for _, w := range ways {
		for name, c := range map[string]struct {
			lie  standin.Lie
			want error // nil: all messages come
		}{
			"same page":        {standin.SamePage, carrier.ErrHistory},
			"same cursor":      {standin.SameCursor, carrier.ErrHistory},
			"two cursors":      {standin.TwoCursors, carrier.ErrHistory},
			"no page":          {standin.NoPage, carrier.ErrHistory},
			"endless instant":  {standin.EndlessInstant, carrier.ErrHistory},
			"before the range": {standin.BeforeRange, carrier.ErrHistory},
			"after the range":  {standin.AfterRange, carrier.ErrHistory},
			"backwards":        {standin.Backwards, carrier.ErrHistory},
			"shuffled":         {standin.Shuffled, nil},
			"forgets cursor":   {standin.ForgetsCursor, nil},
			"refuses cursor":   {standin.RefusesCursor, nil},
			"restarts":         {standin.RestartsCursor, carrier.ErrHistory},
			"huge page":        {standin.HugePage, carrier.ErrHistory},
			"other topics":     {standin.OtherTopics, nil},
			"not JSON":         {standin.NotJSON, carrier.ErrHistory},
			"wrong JSON":       {standin.WrongJSON, carrier.ErrHistory},
			"refuses inside":   {standin.RefusesInside, carrier.ErrUnreachable},
		} {
			t.Run(w.name+", "+name, func(t *testing.T) {
				from, h := w.open(t)
				from.Keep(all...)
				from.Lie(c.lie)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				since, until := all[300].Time, all[600].Time
				if c.lie == standin.AfterRange {
					since, until = all[0].Time, all[3].Time
				}
				var got []string
				err := h.History(ctx, []carrier.Topic{topic}, since, until, func(r carrier.Received) error {
					if r.Topic != topic || r.At < since || r.At >= until {
						t.Errorf("message of %s at %d", r.Topic, r.At)
					}
					if c.want == nil {
						got = append(got, string(r.Payload))
					}
					return nil
				})
				if c.want != nil {
					if !errors.Is(err, c.want) {
						t.Errorf("got %v, want %v", err, c.want)
					}
					return
				}
				var want []string
				for i := 300; i < 600; i += 2 {
					want = append(want, string(all[i].Payload))
				}
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%d messages, want %d, then %v", len(got), len(want), err)
				}
			})
		}
	}
}

// TestStoreWithoutDataIsNoHistory: includeData is asked for and not given.
func TestStoreWithoutDataIsNoHistory(t *testing.T) {
	from, h := ways[2].open(t)
	from.Keep(kept(5, topic)...)
	from.Lie(standin.NoData)
	err := h.History(t.Context(), []carrier.Topic{topic}, 0, math.MaxInt64, func(carrier.Received) error { return nil })
	if !errors.Is(err, carrier.ErrHistory) {
		t.Errorf("got %v", err)
	}
}

// TestFailuresOfAStore: those that pass are tried again, and what they mean if they
// do not pass.
func TestFailuresOfAStore(t *testing.T) {
	for name, c := range map[string]struct {
		fault  standin.Fault
		want   error // if it stays
		passes bool  // if it comes twice only
	}{
		"busy":         {standin.Fault{Status: 429}, carrier.ErrBusy, true},
		"server error": {standin.Fault{Status: 500}, carrier.ErrUnreachable, true},
		"no peer":      {standin.Fault{Status: 412, Body: "No suitable service peer & none discovered"}, carrier.ErrUnreachable, true},
		"dropped":      {standin.Fault{Drop: true}, carrier.ErrUnreachable, true},
		"half":         {standin.Fault{Truncate: true}, carrier.ErrUnreachable, true},
		"silence":      {standin.Fault{Hang: true}, carrier.ErrUnreachable, true},
		"no store":     {standin.Fault{Status: 404}, carrier.ErrNoHistory, false},
		"bad request":  {standin.Fault{Status: 400}, carrier.ErrHistory, false},
		"endless":      {standin.Fault{Endless: true}, carrier.ErrHistory, false},
		"trickle":      {standin.Fault{Trickle: true}, carrier.ErrHistory, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := standin.NewNetwork().Node(standin.Options{Flavour: standin.Nwaku})
			asked.Keep(kept(250, topic)...)
			o := quick(serveNode(t, asked))
			if c.fault.Trickle {
				o = o.InAll(100 * time.Millisecond)
			}
			staying, passing := o, o
			if c.fault.Hang { // where it stays, nothing else is waited for
				staying.Timeout, passing.Timeout = 100*time.Millisecond, time.Second
			}
			read := func(o wakurest.Options) (n int, err error) {
				h := openHistory(t, o)
				err = h.History(t.Context(), []carrier.Topic{topic}, 0, math.MaxInt64, func(carrier.Received) error { n++; return nil })
				return n, err
			}
			asked.Fail(func(*http.Request) *standin.Fault { return &c.fault })
			if n, err := read(staying); !errors.Is(err, c.want) || n != 0 {
				t.Errorf("it stays: %d messages, %v, want %v", n, err, c.want)
			}
			if !c.passes {
				return
			}
			var requests atomic.Int32
			asked.Fail(func(*http.Request) *standin.Fault {
				if n := requests.Add(1); n == 2 || n == 3 {
					return &c.fault
				}
				return nil
			})
			if n, err := read(passing); err != nil || n != 250 {
				t.Errorf("it passes: %d messages, %v", n, err)
			}
		})
	}
}

// TestNobodyKeepsAnything: what nodes without a store say.
func TestNobodyKeepsAnything(t *testing.T) {
	none := func(carrier.Received) error { return errors.New("a message") }
	for name, c := range map[string]struct {
		options standin.Options
		said    bool // by an option
		want    error
	}{
		"go-waku":           {standin.Options{NoStore: true}, false, carrier.ErrNoHistory},
		"nwaku has no peer": {standin.Options{Flavour: standin.Nwaku, NoStore: true}, false, carrier.ErrUnreachable},
		"it is said":        {standin.Options{Flavour: standin.Nwaku, NoStore: true}, true, carrier.ErrNoHistory},
	} {
		o := quick(serveNode(t, standin.NewNetwork().Node(c.options)))
		o.NoHistory = c.said
		err := openHistory(t, o).History(t.Context(), []carrier.Topic{topic}, 0, math.MaxInt64, none)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		carried := open(t, o)
		if err := carried.History(t.Context(), []carrier.Topic{topic}, 0, math.MaxInt64, none); !errors.Is(err, c.want) {
			t.Errorf("%s: carrier: got %v, want %v", name, err, c.want)
		}
	}
}

// TestNodeThatGetsAStoreIsFoundOut: which version it answers is asked again.
func TestNodeThatGetsAStoreIsFoundOut(t *testing.T) {
	gowaku, nwaku := standin.NewNetwork().Node(standin.Options{}), standin.NewNetwork().Node(standin.Options{Flavour: standin.Nwaku})
	all := kept(150, topic)
	gowaku.Keep(all...)
	nwaku.Keep(all...)
	var at atomic.Pointer[http.Handler]
	put := func(n *standin.Node) { h := n.Handler(); at.Store(&h) }
	put(gowaku)
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) { (*at.Load()).ServeHTTP(w, r) })
	h := openHistory(t, quick(server))
	for i, n := range []*standin.Node{gowaku, gowaku, nwaku, gowaku, nwaku} {
		put(n)
		count := 0
		err := h.History(t.Context(), []carrier.Topic{topic}, 0, math.MaxInt64, func(carrier.Received) error { count++; return nil })
		if err != nil || count != 150 {
			t.Errorf("time %d: %d messages, %v", i, count, err)
		}
	}
}

// TestHistoryRefusesTopicsItCannotAskFor, as the carrier does.
func TestHistoryRefusesTopicsItCannotAskFor(t *testing.T) {
	o := quick(serveNode(t, standin.NewNetwork().Node(standin.Options{})))
	h, c := openHistory(t, o), open(t, o)
	for _, bad := range []carrier.Topic{"", "/a,b", "/a%2F", "/a+b", "/a b"} {
		m := message("x")
		m.Topic = bad
		for what, err := range map[string]error{
			"history":   h.History(t.Context(), []carrier.Topic{topic, bad}, 0, math.MaxInt64, nil),
			"subscribe": c.Subscribe(t.Context(), topic, bad),
			"publish":   publish(t, c, m),
		} {
			if !errors.Is(err, carrier.ErrMessage) {
				t.Errorf("%s %q: %v", what, bad, err)
			}
		}
	}
}
