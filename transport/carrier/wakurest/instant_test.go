package wakurest_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

// TestMessagesOfOneInstantBarNoOthers: anybody can publish many of one time, or of
// none, and what comes after them has to be found all the same.
func TestMessagesOfOneInstantBarNoOthers(t *testing.T) {
	// Pages are small when there are many topics: this is more than 64 of them.
	const many = 1500
	topics := []carrier.Topic{topic}
	for i := range 290 {
		topics = append(topics, carrier.Topic(fmt.Sprintf("/waku/1/0x%08x/rfc26", i)))
	}
	for _, w := range []way{ways[0], ways[2]} {
		for name, at := range map[string]int64{"one time": time.Now().Add(-time.Hour).UnixNano(), "no time": 0} {
			t.Run(w.name+", "+name, func(t *testing.T) {
				from, h := w.open(t)
				flood := kept(many, topic)
				for i := range flood {
					flood[i].Time = at
				}
				from.Keep(flood...)
				after := kept(1, topic)[0]
				after.Time, after.Payload = time.Now().UnixNano(), []byte("after")
				from.Keep(after)
				want := many + 1
				if at == 0 {
					want = 1 // the others are none of ours
				}
				count, last := 0, ""
				err := h.History(t.Context(), topics, 0, math.MaxInt64, func(r carrier.Received) error {
					count, last = count+1, string(r.Payload)
					return nil
				})
				if err != nil || count != want || last != "after" {
					t.Errorf("%d messages, want %d, the last is %q, then %v", count, want, last, err)
				}
			})
		}
	}
}

// TestStoredMessagesOutOfBoundsAreNotDelivered: a node may keep longer ones than the
// port has.
func TestStoredMessagesOutOfBoundsAreNotDelivered(t *testing.T) {
	from, h := ways[2].open(t)
	all := kept(3, topic)
	all[1].Payload = make([]byte, carrier.MaxPayload+1)
	from.Keep(all...)
	err := h.History(t.Context(), []carrier.Topic{topic}, 0, math.MaxInt64, func(r carrier.Received) error { return r.Check() })
	if err != nil {
		t.Error(err)
	}
}

// TestBusyNodeIsToldAgainWhatNobodyWants: else it would go on gathering it, and there
// is room for some topics only.
func TestBusyNodeIsToldAgainWhatNobodyWants(t *testing.T) {
	p, _ := lightPair(t, standin.Nwaku, nil)
	told := make(chan struct{}, 100)
	p.node.Fail(func(r *http.Request) *standin.Fault {
		if r.Method != http.MethodDelete || !strings.HasPrefix(r.URL.Path, "/filter/") {
			return nil
		}
		told <- struct{}{}
		if len(told) < 3 {
			return &standin.Fault{Status: 429, Body: `{"statusDesc":"TOO_MANY_REQUESTS"}`}
		}
		return nil
	})
	p.carrier.Unsubscribe(topic)
	eventually(t, "it is told until it has heard", func() bool { return len(told) == 3 })
}

// TestOptionsDoNotShowThePassword, nor does a carrier that has them.
func TestOptionsDoNotShowThePassword(t *testing.T) {
	o := wakurest.Options{URL: "http://user:hush-hush@127.0.0.1:1"}
	c := open(t, o)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, what := range []any{o, &o, c} {
			if said := fmt.Sprintf(verb, what); strings.Contains(said, "hush-hush") || strings.Contains(said, fmt.Sprintf("%x", "hush-hush")) {
				t.Errorf("%s prints %s", verb, said)
			}
		}
	}
}
