package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
	"github.com/rookery-im/rookery/internal/metrics"
	"github.com/rookery-im/rookery/keep"
	"github.com/rookery-im/rookery/proto/record"
)

// maxPerIdentity is how many webhooks one identity may have.
const maxPerIdentity = 8

// keeper is where webhooks and dead letters are kept: the engine.
type keeper interface {
	Keep(ctx context.Context, records ...keep.Record) error
	Kept(ctx context.Context, collection string) iter.Seq2[keep.Record, error]
	KeptValue(ctx context.Context, collection, name string) (value []byte, found bool, err error)
}

// webhooks are all of a daemon. Safe for concurrent use once open.
type webhooks struct {
	options  Options
	stopping <-chan struct{}
	keeper   keeper
	poster   *webhook.Poster
	post     func(context.Context, webhook.Delivery) webhook.Outcome
	outcomes [webhook.Gone + 1]atomic.Int64 // attempts, by their verdicts
	buried   atomic.Int64                   // dead letters so far
	marks    atomic.Int64                   // at least as many as are dropped, see webhook_dropped.go

	mu       sync.Mutex
	all      map[string]*hook
	followed map[hostedKey]*feed
	closed   bool
}

func newWebhooks(options Options, stopping <-chan struct{}) *webhooks {
	w := &webhooks{options: options, stopping: stopping, all: make(map[string]*hook), followed: make(map[hostedKey]*feed)}
	w.poster = webhook.NewPoster(options.WebhookReach, options.WebhookTimeout, options.Now, options.webhookRoots)
	w.post = w.poster.Post
	return w
}

// open reads what is kept, drops what is of identities that are not hosted any more, and
// begins to deliver.
func (w *webhooks) open(ctx context.Context, from keeper, hosted map[hostedKey]*feed) error {
	w.keeper = from
	here := make(map[rookery.PublicKey]bool)
	for of := range hosted {
		here[of.key] = true
	}
	var ours, gone []*hook
	for r, err := range from.Kept(ctx, webhooksCollection) {
		if err != nil {
			return err
		}
		stored, key, secret, err := decodeWebhook(r)
		if err != nil {
			return err
		}
		if h := newHook(stored, key, secret); here[key] {
			ours = append(ours, h)
		} else {
			gone = append(gone, h)
		}
	}
	for _, h := range ours {
		if err := w.readLetters(ctx, h); err != nil {
			return err
		}
		if err := w.readDropped(ctx, h); err != nil {
			return err
		}
	}
	w.mu.Lock()
	for _, h := range ours {
		w.all[h.id] = h
	}
	w.mu.Unlock()
	for _, h := range gone {
		if err := w.erase(ctx, h); err != nil {
			return err
		}
	}
	for of, f := range hosted {
		w.follow(of, f)
	}
	return nil
}

func (w *webhooks) readLetters(ctx context.Context, h *hook) error {
	for r, err := range w.keeper.Kept(ctx, lettersCollection(h.id)) {
		if err != nil {
			return err
		}
		stored, event, err := decodeLetter(r)
		if err != nil {
			return err
		}
		h.addLetter(letterOf(event, stored.GetFirst(), int64(len(stored.GetEvent()))))
	}
	return nil
}

// follow delivers the events of a hosted installation to the webhooks of its identity.
func (w *webhooks) follow(of hostedKey, f *feed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.followed[of] = f
	var all []*hook
	for _, h := range w.all {
		if h.key == of.key {
			f.hold(h.id) // for all of them, before the first can be done with a message
			all = append(all, h)
		}
	}
	for _, h := range all {
		w.begin(h, of, f)
	}
}

// begin starts a delivery of a feed that is held. w.mu is held.
func (w *webhooks) begin(h *hook, of hostedKey, f *feed) {
	if w.closed {
		return
	}
	h.workers.Add(1)
	go (&delivery{webhooks: w, hook: h, feed: f, missedFrom: of}).run()
}

// forget drops an installation that was deleted, and the webhooks of its identity if it
// was the last one here.
func (w *webhooks) forget(ctx context.Context, of hostedKey) {
	w.mu.Lock()
	delete(w.followed, of)
	last := true
	for other := range w.followed {
		last = last && other.key != of.key
	}
	var gone []*hook
	for _, h := range w.all {
		if last && h.key == of.key {
			gone = append(gone, h)
			delete(w.all, h.id)
		}
	}
	w.mu.Unlock()
	for _, h := range gone {
		h.end()
		h.workers.Wait()
		h.turn <- struct{}{}                    // who has it may write, and nobody takes it any more
		if err := w.erase(ctx, h); err != nil { // the next start does it
			w.log(slog.LevelWarn, "webhook of a deleted identity cannot be deleted", h, slog.String("error", err.Error()))
		}
		h.give()
	}
}

// create makes a webhook, and begins to deliver. errTooManyWebhooks.
func (w *webhooks) create(ctx context.Context, key rookery.PublicKey, url string, notices bool) (*hook, error) {
	if err := w.options.WebhookReach.Check(url); err != nil {
		return nil, err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	secret := webhook.NewSecret()
	stored := &record.Webhook{
		Id: hex.EncodeToString(id[:]), Identity: key[:], Url: url, Secret: secret.Bytes(), Notices: notices,
		Created: w.options.Now().UnixNano(),
	}
	h := newHook(stored, key, secret)
	h.turn <- struct{}{} // who deletes it waits until it is stored
	defer h.give()
	if err := w.add(h); err != nil { // its place, before it is stored
		h.end()
		return nil, err
	}
	if err := w.keepWebhook(ctx, stored); err != nil {
		w.mu.Lock()
		delete(w.all, h.id)
		w.mu.Unlock()
		h.end()
		if of := w.erase(context.WithoutCancel(ctx), h); of != nil { // it may have been stored all the same
			w.log(slog.LevelWarn, "webhook that was not made may be stored", h, slog.String("error", of.Error()))
		}
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[h.id] == nil { // its identity was deleted meanwhile: forget erases it
		return nil, errGone
	}
	for of, f := range w.followed {
		if of.key == key {
			f.hold(h.id)
			w.begin(h, of, f)
		}
	}
	return h, nil
}

func (w *webhooks) add(h *hook) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, hosted := 0, false
	for _, other := range w.all {
		if other.key == h.key {
			n++
		}
	}
	for of := range w.followed {
		hosted = hosted || of.key == h.key
	}
	switch {
	case w.closed:
		return errStopping
	case !hosted:
		return errNotHosted
	case n >= maxPerIdentity || len(w.all) >= w.options.MaxWebhooks:
		return errTooManyWebhooks
	}
	w.all[h.id] = h
	return nil
}

// remove deletes a webhook with its dead letters. errHasLetters.
func (w *webhooks) remove(ctx context.Context, h *hook, discard bool) error {
	if err := h.take(ctx, w.stopping); err != nil {
		return err
	}
	if len(h.allLetters()) > 0 && !discard {
		h.give()
		return errHasLetters
	}
	if err := w.erase(ctx, h); err != nil {
		h.give()
		return err
	}
	h.end()
	h.give()
	h.workers.Wait()
	w.mu.Lock()
	delete(w.all, h.id)
	var feeds []*feed
	for of, f := range w.followed {
		if of.key == h.key {
			feeds = append(feeds, f)
		}
	}
	w.mu.Unlock()
	for _, f := range feeds {
		for _, event := range f.release(h.id) {
			w.left(h.key, event)
		}
	}
	return nil
}

// erase deletes what is kept of a webhook.
func (w *webhooks) erase(ctx context.Context, h *hook) error {
	records := []keep.Record{{Collection: webhooksCollection, Name: h.id}}
	for _, collection := range []string{lettersCollection(h.id), droppedCollection(h.id)} {
		for r, err := range w.keeper.Kept(ctx, collection) {
			if err != nil {
				return err
			}
			r.Value = nil
			records = append(records, r)
		}
	}
	return w.keeper.Keep(ctx, records...)
}

func (w *webhooks) keepWebhook(ctx context.Context, stored *record.Webhook) error {
	r, err := recordOf(webhooksCollection, stored.GetId(), stored)
	if err != nil {
		return err
	}
	return w.keeper.Keep(ctx, r)
}

// store is keepWebhook for who has no caller.
func (w *webhooks) store(stored *record.Webhook) error {
	return w.keepWebhook(context.Background(), stored)
}

// resume has a webhook deliver again.
func (w *webhooks) resume(ctx context.Context, h *hook) error {
	if err := h.take(ctx, w.stopping); err != nil {
		return err
	}
	defer h.give()
	if h.now().GetDisabled() {
		next := h.with(func(r *record.Webhook) { r.Disabled, r.Cause, r.Failed = false, "", 0 })
		if err := w.keepWebhook(ctx, next); err != nil {
			return err
		}
		h.set(next)
	}
	h.resume()
	return nil
}

// find gives the webhook of an identity. errNoWebhook.
func (w *webhooks) find(key rookery.PublicKey, id string) (*hook, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.all[id]; h != nil && h.key == key {
		return h, nil
	}
	return nil, errNoWebhook
}

// sorted are the webhooks of an identity, of all for nil, the oldest first.
func (w *webhooks) sorted(of *rookery.PublicKey) []*hook {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*hook
	for _, h := range w.all {
		if of == nil || h.key == *of {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b *hook) int {
		return cmp.Or(cmp.Compare(a.now().GetCreated(), b.now().GetCreated()), cmp.Compare(a.id, b.id))
	})
	return all
}

// close waits for attempts that are under way, once stopping is closed.
func (w *webhooks) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	for _, h := range w.sorted(nil) {
		h.workers.Wait()
		h.end()
	}
	w.poster.Close()
}

// reading counts for metrics.
func (w *webhooks) reading() metrics.WebhookReading {
	r := metrics.WebhookReading{Buried: w.buried.Load()}
	for v := range w.outcomes {
		r.Attempts = append(r.Attempts, metrics.Labelled{Value: webhook.Verdict(v).String(), N: w.outcomes[v].Load()})
	}
	for _, h := range w.sorted(nil) {
		switch v := h.view(); {
		case v.GetDisabled():
			r.Disabled++
		case v.GetFailures() > 0:
			r.Failing++
		default:
			r.Delivering++
		}
		r.DeadLetters += h.view().GetDeadLetters()
	}
	return r
}

// log writes a line about a webhook: neither its URL nor whose it is.
func (w *webhooks) log(level slog.Level, text string, h *hook, more ...slog.Attr) {
	w.options.Logger.LogAttrs(context.Background(), level, text, append([]slog.Attr{slog.String("webhook", h.id)}, more...)...)
}
