package daemon

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
	"github.com/rookery-im/rookery/proto/record"
)

const (
	// maxLetters and maxLetterBytes bound the dead letters of one webhook. Over them
	// an event that its endpoint does not take is tried on, and what comes behind it
	// waits in the engine.
	maxLetters     = 1000
	maxLetterBytes = 64 << 20
)

// hook is one webhook.
type hook struct {
	id     string
	key    rookery.PublicKey
	secret webhook.Secret
	// turn has an element while somebody posts to the endpoint, or changes what is
	// stored of the webhook: one at a time.
	turn chan struct{}
	ctx  context.Context // ends when the webhook is deleted
	end  context.CancelFunc
	// writing is held while dead letters are written and deleted, and never while
	// something is posted: who forgets a contact does not wait for an endpoint.
	writing sync.Mutex

	mu        sync.Mutex
	stored    *record.Webhook // replaced, never changed
	letters   map[string]letter
	bytes     int64             // of them
	dropped   map[string]letter // see webhook_dropped.go
	failures  int64             // since an attempt succeeded
	cause     string
	failed    time.Time
	delivered time.Time
	resumed   chan struct{} // closed and replaced by resume
	workers   sync.WaitGroup
}

// letter is what is known of a dead letter without reading it.
type letter struct {
	name         string // of its record
	event        string // its id
	installation string // of ours
	contact      string
	durable      bool  // the engine stores its event too
	first        int64 // ns
	size         int64 // bytes
	// fresh: it was made in this life of the daemon, so that the feed has its event as
	// long as the engine has it.
	fresh bool
}

func letterOf(event *apiv1.Event, first, size int64) letter {
	return letter{
		name: letterName(event), event: event.GetId(), installation: event.GetInstallation(), contact: event.GetContact(),
		durable: event.GetDurable(), first: first, size: size,
	}
}

// compare orders dead letters, the oldest first.
func (l letter) compare(other letter) int {
	return cmp.Or(cmp.Compare(l.first, other.first), cmp.Compare(l.name, other.name))
}

func newHook(stored *record.Webhook, key rookery.PublicKey, secret webhook.Secret) *hook {
	h := &hook{
		id: stored.GetId(), key: key, secret: secret, turn: make(chan struct{}, 1),
		stored: stored, letters: make(map[string]letter), dropped: make(map[string]letter), resumed: make(chan struct{}),
		cause: stored.GetCause(),
	}
	if stored.GetFailed() != 0 {
		h.failed = time.Unix(0, stored.GetFailed())
	}
	h.ctx, h.end = context.WithCancel(context.Background())
	return h
}

// take waits for its turn, until one of two contexts or the channel ends, or the webhook
// is deleted. Who has taken it gives it back.
func (h *hook) take(ctx context.Context, stopping <-chan struct{}) error {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ctx.Done():
		return errNoWebhook
	case <-stopping:
		return errStopping
	}
	if h.ctx.Err() != nil {
		h.give()
		return errNoWebhook
	}
	return nil
}

func (h *hook) give() { <-h.turn }

// now gives the record at this moment, which is not changed.
func (h *hook) now() *record.Webhook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stored
}

// with gives a changed copy of the record, to be stored.
func (h *hook) with(change func(*record.Webhook)) *record.Webhook {
	next, _ := proto.Clone(h.now()).(*record.Webhook)
	change(next)
	return next
}

func (h *hook) set(stored *record.Webhook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stored = stored
}

// wakes is closed when waiting is over.
func (h *hook) wakes() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.resumed
}

// resume ends the waiting for the next attempt.
func (h *hook) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.resumed)
	h.resumed = make(chan struct{})
}

// succeeded notes that an event was delivered, and tells whether attempts failed before.
func (h *hook) succeeded(at time.Time) (again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	again = h.failures > 0
	h.failures, h.cause, h.failed, h.delivered = 0, "", time.Time{}, at
	return again
}

// failedWith notes an attempt that failed, and tells whether it is the first.
func (h *hook) failedWith(cause string, at time.Time) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	h.cause, h.failed = cause, at
	return h.failures == 1
}

func (h *hook) hasLetter(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, has := h.letters[name]
	return has
}

// hasRoom tells whether one more dead letter may be stored.
func (h *hook) hasRoom(size int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.letters) < maxLetters && (len(h.letters) == 0 || h.bytes+size <= maxLetterBytes)
}

func (h *hook) addLetter(l letter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes += l.size - h.letters[l.name].size
	h.letters[l.name] = l
}

func (h *hook) removeLetter(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes -= h.letters[name].size
	delete(h.letters, name)
}

// allLetters gives the dead letters, the oldest first.
func (h *hook) allLetters() []letter {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.letters), letter.compare)
}

// view is the webhook as the API has it.
func (h *hook) view() *apiv1.Webhook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &apiv1.Webhook{
		Id: h.id, Identity: h.key.String(), Url: h.stored.GetUrl(), Notices: h.stored.GetNotices(),
		CreatedUnixMs: milliseconds(h.stored.GetCreated()), Disabled: h.stored.GetDisabled(),
		Failures: h.failures, Cause: h.cause, FailedUnixMs: unixMilli(h.failed), DeliveredUnixMs: unixMilli(h.delivered),
		DeadLetters: int64(len(h.letters)),
	}
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
