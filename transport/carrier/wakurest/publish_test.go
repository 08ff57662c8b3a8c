package wakurest_test

import (
	"errors"
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

// TestAnswersToPublishing: what the two kinds of node say, and what that means.
func TestAnswersToPublishing(t *testing.T) {
	relay := func(status int, body string) (bool, standin.Fault) {
		return false, standin.Fault{Status: status, Body: body}
	}
	light := func(status int, body string) (bool, standin.Fault) {
		return true, standin.Fault{Status: status, Body: body}
	}
	type answer = func() (bool, standin.Fault)
	of := func(f func(int, string) (bool, standin.Fault), status int, body string) answer {
		return func() (bool, standin.Fault) { return f(status, body) }
	}
	for name, c := range map[string]struct {
		answer answer
		want   error // nil: accepted
	}{
		"go-waku takes it":                 {of(relay, 200, "true"), nil},
		"nwaku takes it":                   {of(relay, 200, "OK"), nil},
		"go-waku has no peers":             {of(relay, 500, ""), carrier.ErrUnreachable},
		"go-waku, auto sharding":           {of(relay, 400, "not enough peers to publish"), carrier.ErrUnreachable},
		"go-waku does not like it":         {of(relay, 400, "missing Payload field"), carrier.ErrMessage},
		"nwaku is not subscribed":          {of(relay, 400, "Failed to publish: Node not subscribed to topic: /waku/2/rs/16/32"), carrier.ErrUnreachable},
		"nwaku has no peers":               {of(relay, 400, "Failed to publish: NoPeersToPublish"), carrier.ErrUnreachable},
		"nwaku has it already":             {of(relay, 400, "Failed to publish: DuplicateMessage"), nil},
		"nwaku finds it too large":         {of(relay, 400, "Failed to publish: Message size exceeded maximum of 153600 bytes"), carrier.ErrMessage},
		"nwaku limits the rate":            {of(relay, 400, "Failed to publish: limit exceeded, try again later"), carrier.ErrBusy},
		"nwaku is slow":                    {of(relay, 500, "Failed to publish: timedout"), carrier.ErrUnreachable},
		"nwaku does not like it":           {of(relay, 400, "Invalid content body, could not decode."), carrier.ErrMessage},
		"too many requests":                {of(relay, 429, ""), carrier.ErrBusy},
		"too large for a proxy":            {of(relay, 413, ""), carrier.ErrMessage},
		"proxy without a node":             {of(relay, 502, "<html>"), carrier.ErrUnreachable},
		"no access":                        {of(relay, 401, ""), carrier.ErrUnreachable},
		"redirect":                         {of(relay, 302, ""), carrier.ErrUnreachable},
		"lightpush takes it":               {of(light, 200, `{"relayPeerCount":3}`), nil},
		"lightpush without a peer":         {of(light, 503, "No suitable service peer & none discovered"), carrier.ErrUnreachable},
		"lightpush limits the rate":        {of(light, 429, `{"statusDesc":"Request rejected due to too many requests"}`), carrier.ErrBusy},
		"lightpush finds it invalid":       {of(light, 420, `{"statusDesc":"invalid message"}`), carrier.ErrMessage},
		"lightpush has no such shard":      {of(light, 421, `{"statusDesc":"unsupported pubsub topic"}`), carrier.ErrMessage},
		"lightpush finds it too large":     {of(light, 413, `{"statusDesc":"too large"}`), carrier.ErrMessage},
		"lightpush peer has no peers":      {of(light, 505, `{"statusDesc":"No peers for topic, skipping publish"}`), carrier.ErrUnreachable},
		"lightpush peer is slow":           {of(light, 504, ""), carrier.ErrUnreachable},
		"lightpush first version, limited": {of(light, 503, "Request rate limit reached"), carrier.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			isLight, fault := c.answer()
			network := standin.NewNetwork()
			network.Node(standin.Options{Shards: []string{wakurest.PubsubTopic}})
			node := network.Node(standin.Options{})
			node.Fail(func(r *http.Request) *standin.Fault {
				if r.Method == http.MethodPost && (strings.Contains(r.URL.Path, "/messages/") || strings.HasPrefix(r.URL.Path, "/lightpush/")) {
					return &fault
				}
				return nil
			})
			o := quick(serveNode(t, node))
			o.Light = isLight
			if err := publish(t, open(t, o), message("x")); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestPublishedFormIsWhatBothKindsTake: the very bytes of a request.
func TestPublishedFormIsWhatBothKindsTake(t *testing.T) {
	type request struct{ path, kind, body string }
	for _, c := range []struct {
		light bool
		want  string
	}{
		{false, `{"payload":"+/+/AQ==","contentTopic":"/waku/1/0x11223344/rfc26","version":1,"timestamp":1795226506384379336,"ephemeral":true}`},
		{true, `{"pubsubTopic":"/waku/2/rs/16/32","message":{"payload":"+/+/AQ==","contentTopic":"/waku/1/0x11223344/rfc26","version":1,"timestamp":1795226506384379336,"ephemeral":true}}`},
	} {
		requests := make(chan request, 4)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				_, _ = io.WriteString(w, "null")
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			requests <- request{r.URL.EscapedPath(), r.Header.Get("Content-Type"), string(body)}
			_, _ = io.WriteString(w, "true")
		}))
		o := quick(server.URL + "/")
		o.Light = c.light
		carried := open(t, o)
		m := carrier.Message{Topic: topic, Payload: []byte{0xfb, 0xff, 0xbf, 1}, Time: 1795226506384379336, Ephemeral: true}
		if err := publish(t, carried, m); err != nil {
			t.Fatal(err)
		}
		path := "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F32"
		if c.light {
			path = "/lightpush/v3/message"
		}
		if got := <-requests; got != (request{path, "application/json", c.want}) {
			t.Errorf("got %+v,\nwant %s %s", got, path, c.want)
		}
		if err := carried.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

// TestLimitOfPublishingHolds: a burst at once, the others at their rate.
func TestLimitOfPublishingHolds(t *testing.T) {
	o := quick(serveNode(t, standin.NewNetwork().Node(standin.Options{})))
	o.Rate, o.Burst = 100, 5
	c := open(t, o)
	eventually(t, "ready", func() bool { return c.Health().Ready })
	var wait sync.WaitGroup
	began := time.Now()
	for range 35 {
		wait.Add(1)
		c.Publish(message("x"), func(err error) {
			if err != nil {
				t.Error(err)
			}
			wait.Done()
		})
	}
	wait.Wait()
	if took := time.Since(began); took < 295*time.Millisecond || took > patience {
		t.Errorf("35 messages took %s, want 300ms", took)
	}
}

// TestBusyNodeIsLeftAlone for as long as it says.
func TestBusyNodeIsLeftAlone(t *testing.T) {
	node := standin.NewNetwork().Node(standin.Options{})
	var mu sync.Mutex
	var asked []time.Time
	node.Fail(func(r *http.Request) *standin.Fault {
		if r.Method != http.MethodPost || !strings.Contains(r.URL.Path, "/messages/") {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if asked = append(asked, time.Now()); len(asked) == 1 {
			return &standin.Fault{Status: 429, RetryAfter: "1"}
		}
		return nil
	})
	c := open(t, quick(serveNode(t, node)))
	if err := publish(t, c, message("x")); !errors.Is(err, carrier.ErrBusy) {
		t.Errorf("got %v", err)
	}
	if err := publish(t, c, message("x")); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 2 || asked[1].Sub(asked[0]) < time.Second {
		t.Errorf("asked at %s", asked)
	}
}

// TestSilentNodeIsGivenUp after the timeout, and one that goes on for ever a little
// later.
func TestSilentNodeIsGivenUp(t *testing.T) {
	const soon = 500 * time.Millisecond
	for name, c := range map[string]struct {
		fault  standin.Fault
		change func(*wakurest.Options)
	}{
		"silence": {standin.Fault{Hang: true}, func(o *wakurest.Options) { o.Timeout = soon }},
		"trickle": {standin.Fault{Trickle: true}, func(o *wakurest.Options) { *o = o.InAll(soon) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := standin.NewNetwork().Node(standin.Options{})
			node.Fail(func(r *http.Request) *standin.Fault {
				if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/messages/") {
					return &c.fault
				}
				return nil
			})
			o := quick(serveNode(t, node))
			c.change(&o)
			carried := open(t, o)
			eventually(t, "ready", func() bool { return carried.Health().Ready })
			began := time.Now()
			err := publish(t, carried, message("x"))
			if took := time.Since(began); !errors.Is(err, carrier.ErrUnreachable) || took < soon || took > patience {
				t.Errorf("%v after %s", err, took)
			}
		})
	}
}

// TestWhatWaitsToBePublishedIsBounded, in number and in bytes.
func TestWhatWaitsToBePublishedIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ size, most int }{
		"number": {1, 1024 + 4},
		"bytes":  {carrier.MaxPayload, 32<<20/carrier.MaxPayload + 5},
	} {
		node := standin.NewNetwork().Node(standin.Options{})
		url := serveNode(t, node)
		node.Fail(func(r *http.Request) *standin.Fault {
			if r.Method == http.MethodPost {
				return &standin.Fault{Hang: true}
			}
			return nil
		})
		o := quick(url)
		o.Timeout = time.Hour // none of them is given up
		carried := open(t, o)
		var mu sync.Mutex
		busy, closed := 0, 0
		m := message(strings.Repeat("x", c.size))
		for range 1500 {
			carried.Publish(m, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, carrier.ErrBusy):
					busy++
				case errors.Is(err, carrier.ErrClosed):
					closed++
				}
			})
		}
		if busy < 1500-c.most {
			t.Errorf("%s: %d of 1500 were refused, want %d at least", name, busy, 1500-c.most)
		}
		if err := carried.Close(); err != nil {
			t.Error(err)
		}
		if busy+closed != 1500 {
			t.Errorf("%s: %d refused and %d closed, want 1500", name, busy, closed)
		}
	}
}

// TestOptionsAreChecked.
func TestOptionsAreChecked(t *testing.T) {
	good := wakurest.Options{URL: "http://127.0.0.1:1"}
	for name, change := range map[string]func(*wakurest.Options){
		"no URL":           func(o *wakurest.Options) { o.URL = "" },
		"no scheme":        func(o *wakurest.Options) { o.URL = "127.0.0.1:8645" },
		"other scheme":     func(o *wakurest.Options) { o.URL = "ftp://host" },
		"query":            func(o *wakurest.Options) { o.URL = "http://host/?a=b" },
		"control in URL":   func(o *wakurest.Options) { o.URL = "http://user:secret@host/\n" },
		"shard":            func(o *wakurest.Options) { o.PubsubTopic = "/a b" },
		"negative timeout": func(o *wakurest.Options) { o.Timeout = -1 },
		"tiny pause":       func(o *wakurest.Options) { o.PollMin = time.Microsecond },
		"poll":             func(o *wakurest.Options) { o.PollMin, o.PollMax = time.Second, time.Millisecond },
		"retry":            func(o *wakurest.Options) { o.RetryMin, o.RetryMax = time.Second, time.Millisecond },
		"topics":           func(o *wakurest.Options) { o.MaxTopics = -1 },
		"rate":             func(o *wakurest.Options) { o.Rate = -1 },
		"burst":            func(o *wakurest.Options) { o.Burst = -1 },
		"store peer":       func(o *wakurest.Options) { o.StorePeer = strings.Repeat("x", 5000) },
	} {
		o := good
		change(&o)
		for kind, open := range map[string]func() error{
			"carrier": func() error { _, err := wakurest.New(o); return err },
			"history": func() error { _, err := wakurest.NewHistory(o); return err },
		} {
			if err := open(); !errors.Is(err, carrier.ErrOptions) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s, %s: got %v", kind, name, err)
			}
		}
	}
}

// TestErrorsDoNotShowThePassword of a URL.
func TestErrorsDoNotShowThePassword(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := strings.TrimPrefix(server.URL, "http://")
	server.Close()
	c := open(t, quick("http://user:secret@"+address))
	err := publish(t, c, message("x"))
	if !errors.Is(err, carrier.ErrUnreachable) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if h := c.Health(); h.Err == nil || strings.Contains(h.Err.Error(), "secret") {
		t.Errorf("health is %+v", h)
	}
}
