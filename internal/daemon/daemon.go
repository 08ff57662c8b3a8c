package daemon

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"connectrpc.com/connect"
	"golang.org/x/time/rate"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/token"
	"github.com/rookery-im/rookery/internal/metrics"
	"github.com/rookery-im/rookery/internal/metrics/snapshot"
)

// Daemon serves one engine. Safe for concurrent use.
type Daemon struct {
	options  Options
	feeds    *feeds
	stopping chan struct{} // closed when streams have to end
	stop     sync.Once
	requests *shares // that are at work
	bodies   *shares // bytes of them
	streams  *shares
	writer   *connect.ErrorWriter
	measured *snapshot.Collector
	webhooks *webhooks

	mu         sync.RWMutex
	engine     *rookery.Engine // nil before Serve
	identities map[rookery.PublicKey][]*rookery.Identity
	limits     map[string]*rate.Limiter // by the ids of tokens
}

// New makes a daemon, whose Handle takes the events of the engine that is going to be
// served.
func New(options Options) *Daemon {
	options = options.withDefaults()
	stopping := make(chan struct{})
	return &Daemon{
		options:    options,
		feeds:      newFeeds(options),
		stopping:   stopping,
		webhooks:   newWebhooks(options, stopping),
		requests:   newShares(options.MaxRequests),
		bodies:     newShares(options.MaxBodies),
		streams:    newShares(options.MaxStreams),
		writer:     connect.NewErrorWriter(),
		measured:   snapshot.NewCollector(),
		identities: make(map[rookery.PublicKey][]*rookery.Identity),
		limits:     make(map[string]*rate.Limiter),
	}
}

// take begins to serve an engine.
func (d *Daemon) take(ctx context.Context, engine *rookery.Engine) error {
	hosted := make(map[hostedKey]*feed)
	d.mu.Lock()
	d.engine = engine
	for _, i := range engine.Identities() {
		d.identities[i.PublicKey()] = append(d.identities[i.PublicKey()], i)
		hosted[keyOf(i)] = d.feeds.of(keyOf(i))
	}
	d.mu.Unlock()
	return d.webhooks.open(ctx, engine, hosted)
}

// hosts notes an identity that was created: for the webhooks first, so that no consumer
// can acknowledge what they have to have.
func (d *Daemon) hosts(i *rookery.Identity) {
	d.webhooks.follow(keyOf(i), d.feeds.of(keyOf(i)))
	d.mu.Lock()
	d.identities[i.PublicKey()] = append(d.identities[i.PublicKey()], i)
	d.mu.Unlock()
}

// forgets drops one that was deleted.
func (d *Daemon) forgets(ctx context.Context, i *rookery.Identity) {
	d.webhooks.forget(context.WithoutCancel(ctx), keyOf(i))
	d.mu.Lock()
	defer d.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(d.identities[i.PublicKey()]), func(one *rookery.Identity) bool { return one == i })
	if d.identities[i.PublicKey()] = rest; len(rest) == 0 {
		delete(d.identities, i.PublicKey())
	}
}

// hosted gives the identities that a token is for, in order.
func (d *Daemon) hosted(t token.Token) []*rookery.Identity {
	d.mu.RLock()
	var all []*rookery.Identity
	for key, some := range d.identities {
		if t.May(key.String()) {
			all = append(all, some...)
		}
	}
	d.mu.RUnlock()
	slices.SortFunc(all, func(a, b *rookery.Identity) int {
		one, other := a.PublicKey(), b.PublicKey()
		return cmp.Or(
			cmp.Compare(a.Name(), b.Name()),
			bytes.Compare(one[:], other[:]),
			cmp.Compare(a.InstallationID(), b.InstallationID()),
		)
	})
	return all
}

// identity gives the one that a request names, if its token is for it. What is said of
// any other does not depend on whether it is hosted.
func (d *Daemon) identity(ctx context.Context, named string) (*rookery.Identity, error) {
	text, installation, one := strings.Cut(named, "/")
	key, err := rookery.ParsePublicKey(text)
	if t := tokenOf(ctx); !t.Admin && (err != nil || !t.May(key.String())) {
		return nil, errNotFor
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	d.mu.RLock()
	found := slices.Clone(d.identities[key])
	d.mu.RUnlock()
	if one {
		found = slices.DeleteFunc(found, func(i *rookery.Identity) bool { return i.InstallationID() != installation })
	} else if inUse := slices.DeleteFunc(slices.Clone(found), (*rookery.Identity).Retired); len(inUse) > 0 {
		found = inUse
	}
	switch len(found) {
	case 0:
		return nil, errNotHosted
	case 1:
		return found[0], nil
	}
	return nil, errWhich
}

// administrator refuses everybody else.
func administrator(ctx context.Context) error {
	if !tokenOf(ctx).Admin {
		return errNotFor
	}
	return nil
}

// limiter is that of a token. There are no more than tokens were checked.
func (d *Daemon) limiter(t token.Token) *rate.Limiter {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.limits[t.ID]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(d.options.Rate), d.options.Burst)
		d.limits[t.ID] = l
	}
	return l
}

// WebhookReading counts what webhooks have done and how they are, for metrics.
func (d *Daemon) WebhookReading() metrics.WebhookReading { return d.webhooks.reading() }

// end ends the streams, and what webhooks do next.
func (d *Daemon) end() { d.stop.Do(func() { close(d.stopping) }) }
