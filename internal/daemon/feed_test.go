package daemon

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

func newTestFeed() *feed { return newFeed("0123456789abcdef", Options{}.withDefaults()) }

func messageOf(contact string, n int) *apiv1.Event {
	return &apiv1.Event{Id: fmt.Sprint("m-", contact, n), Contact: contact, Payload: []byte("x")}
}

// What a contact writes after he was forgotten is not forgotten with him, even if it
// comes before the feed is told.
func TestMessageAfterAContactWasForgottenStays(t *testing.T) {
	f := newTestFeed()
	f.message(messageOf("a", 1), nil)
	f.message(messageOf("b", 1), nil)
	newest := f.newest()
	f.message(messageOf("a", 2), nil)
	f.forget("a", newest)
	var at place
	for _, want := range []string{"m-b1", "m-a2"} {
		if e, _, _, _ := f.next(&at, ""); e.GetId() != want {
			t.Errorf("got %v, want %s", e, want)
		}
	}
	if e, _, _, _ := f.next(&at, ""); e != nil || f.waiting != 2 || f.bytes != 2 {
		t.Errorf("%v is left, of %d", e, f.waiting)
	}
}

// A cursor is refused, or it is read as it was written; none brings a reader out of the
// feed.
func FuzzCursor(f *testing.F) {
	feed := newTestFeed()
	for n := range 4 {
		feed.message(messageOf("a", n), nil)
		feed.notice(&apiv1.Event{})
	}
	for _, seed := range []string{"", "x", "0123456789abcdef.3.1", "fedcba9876543210.3.1", "0123456789abcdef.18446744073709551615.0", "0123456789abcdef.1.18446744073709551616", "%s.%d.%d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		at, err := feed.begin(cursor)
		if err != nil {
			return
		}
		if at != (place{}) && feed.cursor(at) != cursor {
			t.Errorf("%q was read as %+v", cursor, at)
		}
		for range 8 {
			if e, missed, changed, err := feed.next(&at, ""); err != nil || missed > 0 || e == nil && changed == nil {
				t.Errorf("%q: %v, %d missed, %v", cursor, e, missed, err)
			}
		}
		if e, _, _, _ := feed.next(&at, ""); e != nil {
			t.Errorf("%q: more than there is", cursor)
		}
	})
}

// Whatever is asked for as a stream, in either form, is answered with a stream of the
// right identity or a refusal, never by "internal".
func FuzzStreamRequest(f *testing.F) {
	h := newHouse(f, func(h *house) {
		inMemory(h)
		h.quiet = true
		h.options.Rate, h.options.Burst = 1e9, 1<<30
	})
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	bob.send(alice, "hello", "")
	handler, run := h.daemon.handler(), h.daemon.feeds.run
	f.Add("identity="+alice.key, run+".0.0", "")
	f.Add("identity="+alice.key+"&identity="+bob.key, "", "")
	f.Add("identity="+alice.key+"/x", run, "")
	f.Add("identity=%zz;a=b", "x", "")
	f.Add("", "", `{"identity":"`+alice.key+`","after":"`+run+`.1.1"}`)
	f.Add("", "", `{"identity":"`+bob.key+`"}`)
	f.Fuzz(func(t *testing.T, query, cursor, body string) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it ends as soon as it has begun
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, eventsPath, nil)
		r.URL.RawQuery = query
		r.Header.Set("Last-Event-ID", cursor)
		if body != "" {
			envelope := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
			r = httptest.NewRequestWithContext(ctx, http.MethodPost, apiv1.EventServiceStreamEventsProcedure, bytes.NewReader(envelope))
			r.Header.Set("Content-Type", "application/connect+json")
		}
		r.Header.Set("Authorization", "Bearer "+alice.token)
		w := &recorded{httptest.NewRecorder()}
		handler.ServeHTTP(w, r)
		if answer := w.Body.String(); w.Code == http.StatusInternalServerError || strings.Contains(answer, errInternal.Error()) || strings.Contains(answer, `"identity":"`+bob.key) {
			t.Errorf("%d %s", w.Code, answer)
		}
	})
}
