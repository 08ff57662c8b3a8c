package wakurest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

var flavours = []standin.Flavour{standin.GoWaku, standin.Nwaku}

func isRead(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/messages/")
}

// once lets one read fail.
func once(fault standin.Fault) func(*http.Request) *standin.Fault {
	var done atomic.Bool
	return func(r *http.Request) *standin.Fault {
		if isRead(r) && done.CompareAndSwap(false, true) {
			return &fault
		}
		return nil
	}
}

// TestNodeIsSubscribedOnceInItsLife, whatever happens to carriers and connections,
// and the subscription is never taken back.
func TestNodeIsSubscribedOnceInItsLife(t *testing.T) {
	node := standin.NewNetwork().Node(standin.Options{})
	url := serveNode(t, node)
	live := func() {
		t.Helper()
		c := open(t, quick(url))
		got := new(receiver)
		c.Receive(got)
		if err := c.Subscribe(t.Context(), topic, "/another/1/topic/x"); err != nil {
			t.Fatal(err)
		}
		publishAll(t, c, 3)
		eventually(t, "messages come", func() bool { return len(got.payloads()) == 3 })
		node.Cut(true)
		eventually(t, "cut", func() bool { return !c.Health().Ready })
		node.Cut(false)
		eventually(t, "back", func() bool { return c.Health().Ready })
		c.Unsubscribe(topic)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	live()
	live()
	if n := node.Subscriptions(wakurest.PubsubTopic); n != 1 {
		t.Errorf("subscribed %d times", n)
	}
	node.Restart()
	live()
	if n := node.Subscriptions(wakurest.PubsubTopic); n != 1 {
		t.Errorf("subscribed %d times in the second life", n)
	}
	if n := node.Deletes(); n != 0 {
		t.Errorf("%d subscriptions were taken back", n)
	}
}

// TestRestartIsToldAsAGap: a restarted node is subscribed again, and the messages
// since the last read are to be looked for.
func TestRestartIsToldAsAGap(t *testing.T) {
	for _, flavour := range flavours {
		t.Run(flavour.String(), func(t *testing.T) {
			p := newPair(t, flavour, nil)
			p.settled(t)
			gaps := p.got.gapCount()
			before := time.Now()
			p.node.Restart()
			eventually(t, "a gap is told", func() bool { return p.got.gapCount() > gaps })
			if since := p.got.lastGap(); since > before.UnixNano() || since < before.Add(-2*wakurest.Slack).UnixNano() {
				t.Errorf("gap since %s before the restart", time.Duration(before.UnixNano()-since))
			}
			p.settled(t)
		})
	}
}

// TestWhatAnAnswerMayHaveLostIsToldAsAGap: a read empties the cache of the node, so
// that an answer that is lost takes messages with it.
func TestWhatAnAnswerMayHaveLostIsToldAsAGap(t *testing.T) {
	for name, fault := range map[string]standin.Fault{
		"lost":         {Lose: true}, // net/http sends such a request again, and says nothing
		"dropped":      {Drop: true},
		"half":         {Truncate: true},
		"silence":      {Hang: true},
		"server error": {Status: 500},
		"busy":         {Status: 429},
		"not JSON":     {Status: 200, Body: "<html>"},
		"other JSON":   {Status: 200, Body: `{"a":1}`},
		"half JSON":    {Status: 200, Body: `[{"payload":"aGk=","cont`},
		"endless":      {Endless: true},
		"trickle":      {Trickle: true},
		"redirect":     {Status: 307},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, standin.GoWaku, func(o *wakurest.Options) {
				switch {
				case fault.Hang:
					o.Timeout = 500 * time.Millisecond
				case fault.Trickle:
					*o = o.InAll(500 * time.Millisecond)
				}
			})
			p.settledAgain(t)
			gaps := p.got.gapCount()
			p.node.Fail(once(fault))
			eventually(t, "a gap is told", func() bool { return p.got.gapCount() > gaps })
			eventually(t, "ready again", func() bool { return p.carrier.Health().Ready })
			p.settledAgain(t)
		})
	}
}

// TestFullCacheIsToldAsAGap: nwaku gathers 50 messages and drops others, go-waku far
// more.
func TestFullCacheIsToldAsAGap(t *testing.T) {
	for _, flavour := range flavours {
		t.Run(flavour.String(), func(t *testing.T) {
			p := newPair(t, flavour, nil)
			p.settled(t)
			p.send(70, topic)
			p.settled(t)
			p.settled(t) // what was read before is told by now
			if full := p.got.gapCount() > 0; full != (flavour == standin.Nwaku) {
				t.Errorf("a gap was told: %t, %d messages came", full, len(p.got.payloads()))
			}
		})
	}
}

// TestOverflowOfAGoWakuNodeIsToldAsAGap: it stops at 1001 unread messages.
func TestOverflowOfAGoWakuNodeIsToldAsAGap(t *testing.T) {
	p := newPair(t, standin.GoWaku, nil)
	p.settled(t)
	p.send(1100, topic)
	eventually(t, "all come", func() bool { return len(p.got.payloads()) == 1101 })
	if p.node.Blocked() {
		t.Error("the node is still blocked")
	}
	eventually(t, "a gap is told", func() bool { return p.got.gapCount() > 0 })
}

// TestMessagesOfAllFormsAreRead, and nothing is taken for a message that is none.
func TestMessagesOfAllFormsAreRead(t *testing.T) {
	const at = 1795226506384379336
	full := `"contentTopic":"` + string(topic) + `","version":1,"timestamp":1795226506384379336`
	for name, c := range map[string]struct {
		text string
		want string // empty: not delivered
	}{
		"as recorded":              {`{"payload":"aGVsbG8gd2FrdQ==",` + full + `,"ephemeral":false}`, "hello waku"},
		"ephemeral is null":        {`{"payload":"aGVsbG8gd2FrdQ==",` + full + `,"ephemeral":null}`, "hello waku"},
		"URL-safe without padding": {`{"payload":"-_-_AQ",` + full + `}`, "\xfb\xff\xbf\x01"},
		"time in quotes":           {`{"payload":"aGk=","contentTopic":"` + string(topic) + `","timestamp":"1795226506384379336"}`, "hi"},
		"unknown fields":           {`{"x":[{}],"payload":"aGk=",` + full + `,"proof":"AQID"}`, "hi"},
		"time is rounded":          {`{"payload":"aGk=","contentTopic":"` + string(topic) + `","timestamp":1.795226506384379336e18}`, ""},
		"no time":                  {`{"payload":"aGk=","contentTopic":"` + string(topic) + `"}`, ""},
		"time 0":                   {`{"payload":"aGk=","contentTopic":"` + string(topic) + `","timestamp":0}`, ""},
		"time before the epoch":    {`{"payload":"aGk=","contentTopic":"` + string(topic) + `","timestamp":-5}`, ""},
		"time too large":           {`{"payload":"aGk=","contentTopic":"` + string(topic) + `","timestamp":17952265063843793360}`, ""},
		"no payload":               {`{` + full + `}`, ""},
		"empty payload":            {`{"payload":"",` + full + `}`, ""},
		"payload is a number":      {`{"payload":7,` + full + `}`, ""},
		"payload is no base64":     {`{"payload":"a*k=",` + full + `}`, ""},
		"no topic":                 {`{"payload":"aGk=","timestamp":1795226506384379336}`, ""},
		"other topic":              {`{"payload":"aGk=","contentTopic":"/waku/1/0x00000000/rfc26","timestamp":1795226506384379336}`, ""},
		"topic is no ASCII":        {`{"payload":"aGk=","contentTopic":"/tópico","timestamp":1795226506384379336}`, ""},
		"null":                     {`null`, ""},
		"list":                     {`[]`, ""},
		"text":                     {`"hi"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := standin.NewNetwork().Node(standin.Options{})
			// What is after it shows that it did not end the read.
			after := `{"payload":"YWZ0ZXI=",` + full + `}`
			node.Fail(func(r *http.Request) *standin.Fault {
				if !isRead(r) {
					return nil
				}
				return &standin.Fault{Status: 200, Body: "[" + c.text + "," + after + "]"}
			})
			carrier := open(t, quick(serveNode(t, node)))
			got := new(receiver)
			carrier.Receive(got)
			if err := carrier.Subscribe(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			eventually(t, "something comes", func() bool { return len(got.payloads()) > 4 })
			for _, m := range got.messages()[:4] {
				switch payload := string(m.Payload); {
				case payload == "after":
				case payload != c.want || c.want == "":
					t.Errorf("got %q, want %q", payload, c.want)
				case m.Time != at:
					t.Errorf("time %d, want %d", m.Time, int64(at))
				}
			}
			if seen := fmt.Sprintf("%q", got.payloads()); c.want != "" && !strings.Contains(seen, fmt.Sprintf("%q", c.want)) {
				t.Errorf("got %s, want %q", seen, c.want)
			}
		})
	}
}

// TestMessageOfTheFutureHasItsPlaceNow: whoever goes on from there must not miss what
// comes after it.
func TestMessageOfTheFutureHasItsPlaceNow(t *testing.T) {
	p := newPair(t, standin.GoWaku, nil)
	m := message("tomorrow")
	m.Time += int64(24 * time.Hour)
	if err := publish(t, p.publisher, m); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it comes", func() bool { return len(p.got.payloads()) == 1 })
	if r := p.got.messages()[0]; r.Time != m.Time || r.At > time.Now().UnixNano() {
		t.Errorf("time %d, place %d", r.Time, r.At)
	}
}

// TestDeafNodeIsReported: one that is there and does not relay.
func TestDeafNodeIsReported(t *testing.T) {
	c := open(t, quick(serveNode(t, standin.NewNetwork().Node(standin.Options{Light: true}))))
	eventually(t, "it is known", func() bool { return c.Health().Err != nil })
	if h := c.Health(); h.Ready || h.Peers != 0 || !carrier.Retriable(h.Err) {
		t.Errorf("health is %+v", h)
	}
}
