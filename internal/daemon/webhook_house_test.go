package daemon

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rookery-im/rookery/internal/daemon/webhook"
)

// quickWebhooks tries again at once.
func quickWebhooks(h *house) {
	h.options.WebhookSchedule = webhook.Schedule{First: time.Millisecond, Longest: 5 * time.Millisecond}
}

// receiver is an endpoint that verifies what it gets and keeps what it has taken.
type receiver struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	verifier *standardwebhooks.Webhook
	answer   func(eventSeen) int // status; nil: 200
	taken    []eventSeen
	tried    int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t}
	server := httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(server.Close)
	r.url = server.URL + "/hook"
	return r
}

func (r *receiver) take(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // cut off by who has posted it
	}
	r.mu.Lock()
	verifier, answer := r.verifier, r.answer
	r.tried++
	r.mu.Unlock()
	if verifier != nil {
		if err := verifier.Verify(body, request.Header); err != nil {
			r.t.Error(err)
		}
	}
	var e eventSeen
	if err := json.Unmarshal(body, &e); err != nil || e.ID != request.Header.Get(webhook.HeaderID) || e.Cursor != "" {
		r.t.Errorf("body %s with id %s: %v", body, request.Header.Get(webhook.HeaderID), err)
	}
	status := http.StatusOK
	if answer != nil {
		status = answer(e)
	}
	if status < 300 {
		r.mu.Lock()
		r.taken = append(r.taken, e)
		r.mu.Unlock()
	}
	w.WriteHeader(status)
}

// answers has the endpoint answer so from now on.
func (r *receiver) answers(answer func(eventSeen) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func always(status int) func(eventSeen) int { return func(eventSeen) int { return status } }

func (r *receiver) all() []eventSeen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.taken)
}

func (r *receiver) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tried
}

// texts are what was taken, in its order.
func (r *receiver) texts() []string {
	var all []string
	for _, e := range r.all() {
		all = append(all, e.text())
	}
	return all
}

func (r *receiver) has(t *testing.T, texts ...string) {
	t.Helper()
	eventually(t, "all delivered", func() bool { return len(r.all()) >= len(texts) })
	if got := r.texts(); !slices.Equal(got, texts) {
		t.Errorf("delivered %q, want %q", got, texts)
	}
}

// hookSeen is a webhook as callers get it.
type hookSeen struct {
	ID, Identity, URL, Cause string
	Disabled                 bool
	Failures, DeadLetters    string
}

// hook makes a webhook to a receiver.
func (r *resident) hook(to *receiver) hookSeen {
	r.h.t.Helper()
	var made struct {
		Webhook hookSeen
		Secret  string
	}
	r.h.call(r.h.admin, "WebhookService/CreateWebhook", object{"identity": r.key, "url": to.url}, &made)
	to.mu.Lock()
	defer to.mu.Unlock()
	to.verifier = must(standardwebhooks.NewWebhook(made.Secret))(r.h.t)
	return made.Webhook
}

func (r *resident) hooks() []hookSeen {
	r.h.t.Helper()
	var got struct{ Webhooks []hookSeen }
	r.call("WebhookService/ListWebhooks", object{}, &got)
	return got.Webhooks
}

type letterSeen struct {
	Event    eventSeen
	Attempts string
	Cause    string
}

func (r *resident) letters(id string) []letterSeen {
	r.h.t.Helper()
	var got struct{ DeadLetters []letterSeen }
	r.call("WebhookService/ListDeadLetters", object{"id": id}, &got)
	return got.DeadLetters
}

// settled waits until that many messages are durably out of the inbox.
func (h *house) settled(n uint64) {
	h.t.Helper()
	eventually(h.t, "acknowledged", func() bool { return h.hosting.Counts().Acknowledged >= n })
	if got := h.hosting.Counts().Acknowledged; got != n {
		h.t.Errorf("%d acknowledged, want %d", got, n)
	}
}
