package wakurest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

// lightPair is a pair whose second node does not relay, and the one that serves it.
func lightPair(t *testing.T, flavour standin.Flavour, change func(*wakurest.Options)) (p *pair, serving *standin.Node) {
	t.Helper()
	network := standin.NewNetwork()
	serving = network.Node(standin.Options{Flavour: flavour, Shards: []string{wakurest.PubsubTopic}})
	p = &pair{network: network, node: network.Node(standin.Options{Flavour: flavour, Light: true}), got: new(receiver)}
	p.publisher = open(t, quick(serveNode(t, serving)))
	o := quick(serveNode(t, p.node))
	o.Light = true
	if change != nil {
		change(&o)
	}
	p.carrier = open(t, o)
	p.carrier.Receive(p.got)
	if err := p.carrier.Subscribe(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*wakurest.Carrier{p.publisher, p.carrier} {
		eventually(t, "ready", func() bool { return c.Health().Ready })
	}
	return p, serving
}

// TestFilterKeepsToWhatOthersTake: 100 topics in a request, 1000 in all, and nothing
// is subscribed if that is too much.
func TestFilterKeepsToWhatOthersTake(t *testing.T) {
	for _, flavour := range flavours {
		network := standin.NewNetwork()
		serving := network.Node(standin.Options{Flavour: flavour, Shards: []string{wakurest.PubsubTopic}})
		node := network.Node(standin.Options{Flavour: flavour, Light: true})
		var mu sync.Mutex
		most := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			var asked struct{ ContentFilters []string }
			if json.Unmarshal(body, &asked) == nil {
				mu.Lock()
				most = max(most, len(asked.ContentFilters))
				mu.Unlock()
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			node.Handler().ServeHTTP(w, r)
		}))
		o := quick(server.URL)
		o.Light = true
		c := open(t, o)
		topics := make([]carrier.Topic, 1001)
		for i := range topics {
			topics[i] = carrier.Topic(fmt.Sprintf("/waku/1/0x%08x/rfc26", i))
		}
		if err := c.Subscribe(t.Context(), topics...); !errors.Is(err, wakurest.ErrTopics) || serving.Serves() != 0 {
			t.Errorf("%s: 1001 topics: %v, %d served", flavour, err, serving.Serves())
		}
		if err := c.Subscribe(t.Context(), topics[:1000]...); err != nil || serving.Serves() != 1000 {
			t.Errorf("%s: 1000 topics: %v, %d served", flavour, err, serving.Serves())
		}
		if err := c.Subscribe(t.Context(), topics[1000]); !errors.Is(err, wakurest.ErrTopics) {
			t.Errorf("%s: one more: %v", flavour, err)
		}
		c.Unsubscribe(topics[:500]...)
		if err := c.Subscribe(t.Context(), topics[1000]); err != nil {
			t.Errorf("%s: one more after others went: %v", flavour, err)
		}
		eventually(t, "what nobody wants is taken back", func() bool { return serving.Serves() == 501 })
		mu.Lock()
		if most > 100 {
			t.Errorf("%s: %d topics in a request", flavour, most)
		}
		mu.Unlock()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

// TestLightRestartIsToldAsAGap: the node has forgotten what it gathers.
func TestLightRestartIsToldAsAGap(t *testing.T) {
	for _, flavour := range flavours {
		t.Run(flavour.String(), func(t *testing.T) {
			p, _ := lightPair(t, flavour, nil)
			p.settled(t)
			gaps := p.got.gapCount()
			p.node.Restart()
			eventually(t, "a gap is told", func() bool { return p.got.gapCount() > gaps })
			p.settled(t)
		})
	}
}

// TestThoseWhoServeMayForget: nobody tells, so that they are asked now and then. From
// go-waku there is no clear answer, and everything is asked for anew.
func TestThoseWhoServeMayForget(t *testing.T) {
	for _, flavour := range flavours {
		t.Run(flavour.String(), func(t *testing.T) {
			p, serving := lightPair(t, flavour, func(o *wakurest.Options) {
				*o = o.Pinging(20*time.Millisecond, 100*time.Millisecond)
			})
			p.settled(t)
			gaps := p.got.gapCount()
			serving.ForgetServed()
			eventually(t, "served again", func() bool { return serving.Serves() == 1 })
			eventually(t, "a gap is told", func() bool { return p.got.gapCount() > gaps })
			p.settled(t)
		})
	}
}

// TestUnclearAnswerIsAskedForAgainSoon: a node whose own requests are always in the way
// at the same moment would never give a clear one.
func TestUnclearAnswerIsAskedForAgainSoon(t *testing.T) {
	const ping = time.Second
	var mu sync.Mutex
	var last time.Time
	soon := false
	p, _ := lightPair(t, standin.Nwaku, func(o *wakurest.Options) { *o = o.Pinging(ping, time.Hour) })
	p.settled(t)
	p.node.Fail(func(r *http.Request) *standin.Fault {
		if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/filter/v2/subscriptions/") {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		soon = soon || now.Sub(last) < ping/2
		last = now
		return &standin.Fault{Status: http.StatusInternalServerError, Body: `{"statusDesc":"ping request failed"}`}
	})
	eventually(t, "asked again soon", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return soon
	})
}

// TestFullFilterCacheIsToldAsAGap: 30 messages of a topic, or 50 in all.
func TestFullFilterCacheIsToldAsAGap(t *testing.T) {
	for _, flavour := range flavours {
		t.Run(flavour.String(), func(t *testing.T) {
			p, _ := lightPair(t, flavour, nil)
			p.settled(t)
			p.send(70, topic)
			eventually(t, "a gap is told", func() bool { return p.got.gapCount() > 0 })
			if n := len(p.got.payloads()); n > 60 {
				t.Errorf("%d messages came", n)
			}
		})
	}
}

// TestFilterCacheOfAllTopicsIsToldAsAGap: nwaku has one for all, go-waku one for each.
func TestFilterCacheOfAllTopicsIsToldAsAGap(t *testing.T) {
	for _, flavour := range flavours {
		t.Run(flavour.String(), func(t *testing.T) {
			p, _ := lightPair(t, flavour, nil)
			p.settled(t)
			topics := make([]carrier.Topic, 5)
			for i := range topics {
				topics[i] = carrier.Topic(fmt.Sprintf("/waku/1/0x%08x/rfc26", i))
			}
			if err := p.carrier.Subscribe(t.Context(), topics...); err != nil {
				t.Fatal(err)
			}
			p.send(70, topics...)
			p.settled(t)
			p.settled(t)
			p.settled(t) // what was read before is told by now
			if full := p.got.gapCount() > 0; full != (flavour == standin.Nwaku) {
				t.Errorf("a gap was told: %t, %d messages came", full, len(p.got.payloads()))
			}
		})
	}
}

// TestRefusedFilterIsTriedAgain: Subscribe holds, the node says no for a while.
func TestRefusedFilterIsTriedAgain(t *testing.T) {
	for name, fault := range map[string]standin.Fault{
		"go-waku has nobody":   {Status: 400, Body: `{"requestId":"r1","statusDesc":"subscription failed"}`},
		"go-waku did a part":   {Status: 200, Body: `{"requestId":"r1","statusDesc":"subscriptions failed"}{"requestId":"r1","statusDesc":"subscription failed"}`},
		"nwaku has nobody":     {Status: 503, Body: `{"requestId":"r1","statusDesc":"SERVICE_UNAVAILABLE"}`},
		"no such path":         {Status: 404},
		"silence":              {Hang: true},
		"connection is closed": {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := lightPair(t, standin.Nwaku, func(o *wakurest.Options) {
				if fault.Hang {
					o.Timeout = 500 * time.Millisecond
				}
			})
			p.node.Fail(func(r *http.Request) *standin.Fault {
				if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/filter/") {
					return &fault
				}
				return nil
			})
			other := carrier.Topic("/waku/1/0x55667788/rfc26")
			if err := p.carrier.Subscribe(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			if h := p.carrier.Health(); h.Ready || !carrier.Retriable(h.Err) {
				t.Errorf("health is %+v", h)
			}
			p.settledAgain(t) // the others go on
			missed := message("missed")
			missed.Topic = other
			if err := publish(t, p.publisher, missed); err != nil {
				t.Fatal(err)
			}
			p.node.Fail(nil)
			eventually(t, "ready", func() bool { return p.carrier.Health().Ready })
			eventually(t, "a gap is told", func() bool { return p.got.gapCount() > 0 })
			if since := p.got.lastGap(); since > missed.Time {
				t.Errorf("the gap begins %s after the message", time.Duration(since-missed.Time))
			}
		})
	}
}

// TestSubscribeEndsWithItsContextWhileTheNodeIsSilent: and nothing is subscribed.
func TestSubscribeEndsWithItsContextWhileTheNodeIsSilent(t *testing.T) {
	p, serving := lightPair(t, standin.Nwaku, func(o *wakurest.Options) { o.Timeout = time.Minute })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.node.Fail(func(r *http.Request) *standin.Fault {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/filter/") {
			return nil
		}
		cancel() // the carrier waits for this answer
		return &standin.Fault{Hang: true}
	})
	if err := p.carrier.Subscribe(ctx, topic, "/waku/1/0x55667788/rfc26"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	p.node.Fail(nil)
	p.node.Restart() // the silence is over
	eventually(t, "the topic of before is served", func() bool { return serving.Serves() > 0 })
	p.settledAgain(t)
	if n := serving.Serves(); n != 1 {
		t.Errorf("%d topics are served", n)
	}
}

// TestNodeOfTheOtherKindTakesOver at the same place: paths and versions differ.
func TestNodeOfTheOtherKindTakesOver(t *testing.T) {
	network := standin.NewNetwork()
	serving := network.Node(standin.Options{Shards: []string{wakurest.PubsubTopic}})
	var mu sync.Mutex
	var now http.Handler
	put := func(flavour standin.Flavour) {
		n := network.Node(standin.Options{Flavour: flavour, Light: true})
		mu.Lock()
		defer mu.Unlock()
		now = n.Handler()
	}
	put(standin.GoWaku)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := now
		mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p := &pair{network: network, publisher: open(t, quick(serveNode(t, serving))), got: new(receiver)}
	o := quick(server.URL)
	o.Light = true
	p.carrier = open(t, o)
	p.carrier.Receive(p.got)
	if err := p.carrier.Subscribe(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	for _, flavour := range []standin.Flavour{standin.Nwaku, standin.GoWaku, standin.Nwaku} {
		p.settled(t)
		gaps := p.got.gapCount()
		put(flavour)
		eventually(t, "a gap is told", func() bool { return p.got.gapCount() > gaps })
		if err := publish(t, p.carrier, message("pushed")); err != nil {
			t.Error(err)
		}
	}
}
