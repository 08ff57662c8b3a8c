package daemon

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
	"github.com/rookery-im/rookery/proto/record"
)

// storedWebhooks are webhooks of one identity as a store has them.
func storedWebhooks(t *testing.T, of rookery.PublicKey, n int) *keptHere {
	t.Helper()
	kept := &keptHere{all: make(map[string]map[string][]byte)}
	for i := range n {
		stored := &record.Webhook{Id: fmt.Sprintf("%016x", i), Identity: of[:], Url: "https://hooks.example.org", Secret: webhook.NewSecret().Bytes(), Created: int64(i + 1)}
		r, err := recordOf(webhooksCollection, stored.GetId(), stored)
		if err == nil {
			err = kept.Keep(t.Context(), r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return kept
}

// A message that the first webhook of an identity has had at once does not leave the
// engine before the others, that are begun after it, have had it. They are more than an
// identity may have, so that the first has the time to be done with it.
func TestMessageWaitsForWebhooksThatAreBegunAfterTheFirst(t *testing.T) {
	const rounds, hooks = 20, 2000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8)) // somebody has to run in between
	of := hostedKey{rookery.PublicKey{2}, "here"}
	kept := storedWebhooks(t, of.key, hooks)
	options := Options{}.withDefaults()
	for range rounds {
		stopping, acked := make(chan struct{}), make(chan struct{})
		w := newWebhooks(options, stopping)
		var posted atomic.Int64
		w.post = func(context.Context, webhook.Delivery) webhook.Outcome {
			posted.Add(1)
			return webhook.Outcome{}
		}
		f := newFeed("0123456789abcdef", options)
		f.message(&apiv1.Event{Id: "m", Durable: true}, func() { close(acked) })
		if err := w.open(t.Context(), kept, map[hostedKey]*feed{of: f}); err != nil {
			t.Fatal(err)
		}
		<-acked
		close(stopping)
		w.close()
		if n := posted.Load(); n != hooks {
			t.Fatalf("acknowledged when %d of %d webhooks had it", n, hooks)
		}
	}
}

// Metrics and lists may be asked for while the webhooks are opened, and changed. Needs
// the race detector to fail.
func TestWebhooksAreReadWhileTheyAreOpenedAndChanged(t *testing.T) {
	of := hostedKey{rookery.PublicKey{2}, "here"}
	options := Options{}.withDefaults()
	stopping := make(chan struct{})
	w := newWebhooks(options, stopping)
	kept := storedWebhooks(t, of.key, maxPerIdentity)
	var asking sync.WaitGroup
	over := make(chan struct{})
	asking.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				w.reading()
			}
		}
	})
	if err := w.open(t.Context(), kept, map[hostedKey]*feed{of: newFeed("0123456789abcdef", options)}); err != nil {
		t.Error(err)
	}
	for _, h := range w.sorted(nil) {
		w.disable(h, "answer 410", options.Now())
		if err := w.resume(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
	close(over)
	asking.Wait()
	close(stopping)
	w.close()
}
