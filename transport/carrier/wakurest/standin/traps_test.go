package standin_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

const (
	topic    = "/waku/1/0x11223344/rfc26"
	jsonKind = "application/json"
)

var (
	subscriptions = "/relay/v1/subscriptions"
	messages      = "/relay/v1/messages/" + url.PathEscape(shard)
	history       = "/store/v1/messages?pubsubTopic=" + url.QueryEscape(shard) + "&contentTopics=" + url.QueryEscape(topic)
	history3      = "/store/v3/messages?includeData=true&pubsubTopic=" + url.QueryEscape(shard) + "&contentTopics=" + url.QueryEscape(topic)
)

func subscribe(t *testing.T, base string) {
	t.Helper()
	if status, body := do(t, http.MethodPost, base+subscriptions, jsonKind, `["`+shard+`"]`); status != http.StatusOK {
		t.Fatalf("subscribe: %d %s", status, body)
	}
}

func publish(t *testing.T, base, payload string, at int64) (int, string) {
	t.Helper()
	body := fmt.Sprintf(`{"payload":%q,"contentTopic":%q,"version":1,"timestamp":%d,"ephemeral":false}`, base64.StdEncoding.EncodeToString([]byte(payload)), topic, at)
	return do(t, http.MethodPost, base+messages, jsonKind, body)
}

// payloads are those of a list of messages.
func payloads(t *testing.T, body string) []string {
	t.Helper()
	var list []struct {
		Payload []byte `json:"payload"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	out := make([]string, len(list))
	for i := range list {
		out[i] = string(list[i].Payload)
	}
	return out
}

// TestUnreadGoWakuNodeStops repeats the recorded overflow: 1100 messages that nobody
// reads, of which 1001 are gathered and the others wait, outside of the store, too.
func TestUnreadGoWakuNodeStops(t *testing.T) {
	network := standin.NewNetwork()
	a, b := network.Node(standin.Options{NoStore: true}), network.Node(standin.Options{})
	baseA, baseB := serve(t, a), serve(t, b)
	subscribe(t, baseA)
	subscribe(t, baseB)
	now := time.Now().UnixNano()
	for i := range 1100 {
		if status, body := publish(t, baseA, fmt.Sprintf("x%05d", i+1), now+int64(i)); status != http.StatusOK {
			t.Fatalf("publish: %d %s", status, body)
		}
		if i%500 == 0 {
			get(t, baseA+messages) // the publisher's own cache
		}
	}
	if !b.Blocked() || b.Stored() != 1001 {
		t.Errorf("blocked: %t, %d stored, want 1001", b.Blocked(), b.Stored())
	}
	for _, want := range [][2]string{{"x00001", "x01001"}, {"x01002", "x01100"}} {
		_, body := get(t, baseB+messages)
		got := payloads(t, body)
		if len(got) == 0 || got[0] != want[0] || got[len(got)-1] != want[1] {
			t.Errorf("read %d messages, want %s to %s", len(got), want[0], want[1])
		}
	}
	if _, body := get(t, baseB+messages); body != "null" {
		t.Errorf("after that: %s", body)
	}
	if b.Blocked() || b.Stored() != 1100 {
		t.Errorf("read: blocked: %t, %d stored", b.Blocked(), b.Stored())
	}
}

// TestSubscribingAGoWakuNodeAgainMakesAnotherCache shows why that is not done.
func TestSubscribingAGoWakuNodeAgainMakesAnotherCache(t *testing.T) {
	n := standin.NewNetwork().Node(standin.Options{})
	base := serve(t, n)
	subscribe(t, base)
	subscribe(t, base)
	publish(t, base, "once", time.Now().UnixNano())
	total := 0
	for range 4 {
		_, body := get(t, base+messages)
		total += len(payloads(t, body))
	}
	if total != 2 || n.Subscriptions(shard) != 2 {
		t.Errorf("%d messages of %d caches", total, n.Subscriptions(shard))
	}
}

// TestSecondDeleteIsTheLastOfALife shows what unsubscribing does to a go-waku node.
func TestSecondDeleteIsTheLastOfALife(t *testing.T) {
	n := standin.NewNetwork().Node(standin.Options{})
	base := serve(t, n)
	unsubscribe := func() int {
		status, _ := do(t, http.MethodDelete, base+subscriptions, jsonKind, `["`+shard+`"]`)
		return status
	}
	subscribe(t, base)
	if status := unsubscribe(); status != http.StatusOK {
		t.Errorf("first time: %d", status)
	}
	subscribe(t, base)
	answered := make(chan int)
	go func() { answered <- unsubscribe() }()
	for end := time.Now().Add(time.Minute); n.Deletes() < 2 && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // until it has come to the node
	}
	select {
	case status := <-answered:
		t.Errorf("second time: %d", status)
	case <-time.After(50 * time.Millisecond):
	}
	n.Restart()
	if status := <-answered; status != 0 {
		t.Errorf("second time, after a restart: %d", status)
	}
	if status, _ := get(t, base+messages); status != http.StatusNotFound {
		t.Errorf("read after a restart: %d", status)
	}
}

// TestSizesAreThoseRecorded: payloads of some lengths, and what was said to them.
func TestSizesAreThoseRecorded(t *testing.T) {
	for _, flavour := range []standin.Flavour{standin.GoWaku, standin.Nwaku} {
		n := standin.NewNetwork().Node(standin.Options{Flavour: flavour})
		base := serve(t, n)
		subscribe(t, base)
		for size, want := range map[int][2]int{
			100_000: {200, 200},
			149_800: {200, 200},
			150_000: {500, 200},
			153_000: {500, 200},
			153_600: {500, 400},
		} {
			status, body := publish(t, base, strings.Repeat("x", size), time.Now().UnixNano())
			if status != want[flavour] || (status == 500 && body != "") {
				t.Errorf("%s, %d bytes: %d %s, want %d", flavour, size, status, body, want[flavour])
			}
		}
	}
}

// TestNwakuDiffers goes through what nwaku does in another way.
func TestNwakuDiffers(t *testing.T) {
	n := standin.NewNetwork().Node(standin.Options{Flavour: standin.Nwaku})
	base := serve(t, n)
	expect := func(what, method, path, kind, body string, wantStatus int, wantBody string) {
		t.Helper()
		status, got := do(t, method, base+path, kind, body)
		if status != wantStatus || !strings.HasPrefix(got, wantBody) {
			t.Errorf("%s: %d %q, want %d %q", what, status, got, wantStatus, wantBody)
		}
	}
	message := `{"payload":"aGk=","contentTopic":"` + topic + `"}`
	expect("read before subscribing", http.MethodGet, messages, "", "", 404, "")
	expect("publish before subscribing", http.MethodPost, messages, jsonKind, message, 400, "Failed to publish: Node not subscribed")
	expect("subscribe", http.MethodPost, subscriptions, jsonKind, `["`+shard+`"]`, 200, "OK")
	expect("subscribe again", http.MethodPost, subscriptions, jsonKind, `["`+shard+`"]`, 200, "OK")
	expect("read nothing", http.MethodGet, messages, "", "", 200, "[]")
	expect("form of curl", http.MethodPost, messages, "application/x-www-form-urlencoded", message, 400, "")
	expect("text", http.MethodPost, messages, "text/plain", message, 200, "OK")
	expect("time and version are filled in", http.MethodGet, messages, "", "", 200, `[{"payload":"aGk=","contentTopic":"`+topic+`","version":0,"timestamp":1`)
	expect("other alphabet", http.MethodPost, messages, jsonKind, `{"payload":"-_-_AQ==","contentTopic":"`+topic+`"}`, 400, "")
	expect("no padding", http.MethodPost, messages, jsonKind, `{"payload":"+/+/AQ","contentTopic":"`+topic+`"}`, 400, "")
	expect("filter not subscribed", http.MethodGet, "/filter/v2/messages/"+url.PathEscape(topic), "", "", 400, "Not subscribed to topic")
	expect("filter by shard", http.MethodGet, "/filter/v2/messages/"+url.PathEscape(shard)+"/"+url.PathEscape(topic), "", "", 404, "")
	expect("filter with text", http.MethodPost, "/filter/v2/subscriptions", "text/plain", "{}", 400, "")
	expect("lightpush without peers", http.MethodPost, "/lightpush/v3/message", jsonKind, `{"pubsubTopic":"`+shard+`","message":`+message+`}`, 503, "No suitable")
	expect("unsubscribe", http.MethodDelete, subscriptions, jsonKind, `["`+shard+`"]`, 200, "OK")
	expect("unsubscribe again", http.MethodDelete, subscriptions, jsonKind, `["`+shard+`"]`, 200, "OK")
}

// TestNwakuKeepsFiftyMessagesInAll, of which the oldest go first.
func TestNwakuKeepsFiftyMessagesInAll(t *testing.T) {
	clock := time.Now() // it stands: the node takes what is 20 seconds off, and no more
	n := standin.NewNetwork().Node(standin.Options{Flavour: standin.Nwaku, Now: func() time.Time { return clock }})
	base := serve(t, n)
	subscribe(t, base)
	now := clock.UnixNano()
	for i := range 60 {
		publish(t, base, fmt.Sprint(i), now+int64(i))
	}
	_, body := get(t, base+messages)
	if got := payloads(t, body); len(got) != 50 || got[0] != "10" || got[49] != "59" {
		t.Errorf("%d messages: %s", len(got), got)
	}
	if n.Stored() != 60 {
		t.Errorf("%d stored", n.Stored())
	}
	publish(t, base, "clock is ahead", now+int64(time.Minute))
	publish(t, base, "clock is behind", now-int64(time.Minute))
	if n.Stored() != 60 {
		t.Errorf("%d stored, with two of wrong clocks", n.Stored())
	}
}

// TestCursorsHaveFourForms walks a store by all versions and kinds of node, with the
// cursor that each of them takes and with one of another.
func TestCursorsHaveFourForms(t *testing.T) {
	network := standin.NewNetwork()
	gowaku, nwaku := network.Node(standin.Options{}), network.Node(standin.Options{Flavour: standin.Nwaku})
	for i := range 60 { // so that their hashes have both of + and / somewhere
		kept := standin.Message{PubsubTopic: shard, ContentTopic: topic, Payload: fmt.Append(nil, i), Time: time.Now().UnixNano() + int64(i)}
		gowaku.Keep(kept)
		nwaku.Keep(kept)
	}
	baseG, baseN := serve(t, gowaku), serve(t, nwaku)
	urlSafe := func(s string) string { return strings.NewReplacer("+", "-", "/", "_").Replace(s) }
	cursorOf := func(body string) (cursor map[string]any, text string) {
		var page struct {
			Cursor map[string]any `json:"cursor"`
			Camel  string         `json:"paginationCursor"`
			Snake  string         `json:"pagination_cursor"`
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return page.Cursor, page.Camel + page.Snake
	}
	first := func(c map[string]any) string {
		return fmt.Sprintf("&senderTime=%v&storeTime=%v&digest=", c["senderTime"], c["storeTime"])
	}
	for name, walk := range map[string]struct {
		base string
		next func(body string) string
	}{
		"go-waku, first version": {
			base: baseG + history,
			next: func(body string) string {
				c, _ := cursorOf(body)
				return first(c) + url.QueryEscape(urlSafe(c["digest"].(string)))
			},
		},
		"go-waku, third version": {
			base: baseG + history3,
			next: func(body string) string {
				_, c := cursorOf(body)
				return "&cursor=" + url.QueryEscape(urlSafe(c))
			},
		},
		"nwaku, third version": {
			base: baseN + history3,
			next: func(body string) string {
				_, c := cursorOf(body)
				if !strings.HasPrefix(c, "0x") {
					t.Errorf("cursor %q", c)
				}
				return "&cursor=" + c
			},
		},
	} {
		query, pages := "", 0
		for {
			status, body := get(t, walk.base+"&pageSize=1"+query)
			if status != http.StatusOK {
				t.Fatalf("%s: page %d: %d %s", name, pages, status, body)
			}
			pages++
			if c, text := cursorOf(body); c == nil && text == "" {
				break
			}
			query = walk.next(body)
		}
		if pages != 60 {
			t.Errorf("%s: %d pages, want 60", name, pages)
		}
	}
	if status, body := get(t, baseG+history+"&digest=a+/b&senderTime=1&storeTime=1"); status != http.StatusBadRequest {
		t.Errorf("cursor of the other alphabet: %d %s", status, body)
	}
	if status, body := get(t, baseG+history+"&digest=AAAA&senderTime=1&storeTime=1"); status != http.StatusInternalServerError {
		t.Errorf("unknown cursor: %d %s", status, body)
	}
	if _, body := get(t, baseN+history3+"&cursor=0x"+strings.Repeat("00", 32)); !strings.Contains(body, `"messages":[]`) {
		t.Errorf("unknown cursor: %s", body)
	}
}
