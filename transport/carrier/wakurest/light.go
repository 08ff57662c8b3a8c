package wakurest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	filterSubscriptions = "/filter/v2/subscriptions"
	filterMessages      = "/filter/v2/messages/"

	// perRequest is how many topics those who are asked take at once.
	perRequest = 100
)

// light has the node gather single topics, by the filter protocol.
type light struct {
	c *Carrier
	// short: messages are read by their topic alone, as nwaku has it.
	short atomic.Bool
	// old: the node knows only the first version of lightpush.
	old atomic.Bool

	mu       sync.Mutex
	topics   map[carrier.Topic]*gathered
	started  int // passes of subscribeAll
	finished int
	changed  chan struct{} // closed when a pass is finished
	wake     chan struct{}
	requests int
	told     error // what the last pass has failed with, likewise the last sweep
	read     error
	toldOnce bool
	readOnce bool

	// pinged is when it was asked last whether the node is served, and renewed when it
	// was known to be. Both are used by subscribeAll only.
	pinged, renewed time.Time
}

// gathered is a topic.
type gathered struct {
	on   bool      // the node gathers it
	gone bool      // nobody wants it any more, and the node is to be told
	owed time.Time // its messages may be missing since then, if not zero
}

func newLight(c *Carrier) *light {
	return &light{
		c:       c,
		topics:  make(map[carrier.Topic]*gathered),
		changed: make(chan struct{}),
		wake:    make(chan struct{}, 1),
		pinged:  time.Now(),
		renewed: time.Now(),
	}
}

func (l *light) wants(t carrier.Topic) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.topics[t]
	return g != nil && !g.gone
}

// subscribe waits until the node gathers the topics, or has failed to.
func (l *light) subscribe(ctx context.Context, topics []carrier.Topic) error {
	if l.c.ctx.Err() != nil {
		return carrier.ErrClosed
	}
	now := time.Now()
	l.mu.Lock()
	added, err := l.add(topics)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	need := l.started + 1
	for l.told == nil && l.finished < need && !l.allOn(topics) {
		changed := l.changed
		l.mu.Unlock()
		l.kick()
		select {
		case <-changed:
		case <-ctx.Done():
			l.unsubscribe(added)
			return ctx.Err()
		case <-l.c.ctx.Done():
			return carrier.ErrClosed
		}
		l.mu.Lock()
	}
	for _, t := range topics {
		if g := l.topics[t]; g != nil && !g.on && g.owed.IsZero() {
			g.owed = now
		}
	}
	l.mu.Unlock()
	l.kick()
	return nil
}

// add adds all topics, or none, and gives those that are new.
func (l *light) add(topics []carrier.Topic) ([]carrier.Topic, error) {
	fresh := make(map[carrier.Topic]struct{})
	wanted := 0
	for _, g := range l.topics {
		if !g.gone {
			wanted++
		}
	}
	for _, t := range topics {
		if g := l.topics[t]; g == nil || g.gone {
			fresh[t] = struct{}{}
		}
	}
	if n := wanted + len(fresh); n > l.c.o.MaxTopics {
		return nil, fmt.Errorf("%w: %d, more than %d", ErrTopics, n, l.c.o.MaxTopics)
	}
	for t := range fresh {
		if g := l.topics[t]; g != nil {
			g.gone = false
		} else {
			l.topics[t] = new(gathered)
		}
	}
	return slices.Collect(maps.Keys(fresh)), nil
}

func (l *light) allOn(topics []carrier.Topic) bool {
	for _, t := range topics {
		if g := l.topics[t]; g != nil && !g.on {
			return false
		}
	}
	return true
}

func (l *light) unsubscribe(topics []carrier.Topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range topics {
		if g := l.topics[t]; g != nil {
			g.gone = true
		}
	}
	l.kick()
}

func (l *light) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// subscribeAll tells the node what to gather, until the carrier is closed.
func (l *light) subscribeAll() {
	retry := backoff{least: l.c.o.RetryMin, most: l.c.o.RetryMax}
	for l.c.ctx.Err() == nil {
		l.mu.Lock()
		l.started++
		l.mu.Unlock()
		err := l.pass(l.c.ctx)
		l.mu.Lock()
		l.finished, l.told, l.toldOnce = l.started, err, true
		l.report() // before anybody goes on who waits
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
		if err != nil {
			sleep(l.c.ctx, retry.failed(), nil)
			continue
		}
		retry.worked()
		sleep(l.c.ctx, time.Until(l.pinged.Add(l.c.o.ping)), l.wake)
	}
}

// pass tells the node once what has changed, and asks now and then.
func (l *light) pass(ctx context.Context) error {
	if err := l.takeBack(ctx); err != nil {
		return err
	}
	if err := l.ask(ctx); err != nil {
		return err
	}
	for _, part := range l.parts(func(g *gathered) bool { return !g.gone && !g.on }) {
		if err := l.filter(ctx, http.MethodPost, part); err != nil {
			return err
		}
		l.mu.Lock()
		for _, t := range part {
			if g := l.topics[t]; g != nil {
				if !g.owed.IsZero() {
					l.c.gaps.note(g.owed)
				}
				g.on, g.owed = true, time.Time{}
			}
		}
		l.mu.Unlock()
	}
	return nil
}

// takeBack tells the node what nobody wants any more.
func (l *light) takeBack(ctx context.Context) error {
	for _, part := range l.parts(func(g *gathered) bool { return g.gone }) {
		l.mu.Lock()
		for _, t := range part {
			// From now on it has to be told again, even if it is wanted again meanwhile.
			l.topics[t].on = false
		}
		l.mu.Unlock()
		err := l.filter(ctx, http.MethodDelete, part)
		var refused *refusal
		if err != nil && (!errors.As(err, &refused) || refused.busy()) { // another refusal: it does not know them
			return err
		}
		l.mu.Lock()
		for _, t := range part {
			if l.topics[t].gone {
				delete(l.topics, t)
			}
		}
		l.mu.Unlock()
	}
	return nil
}

// ask asks whether the node is still served; if it seems not to be, everything is
// subscribed anew.
func (l *light) ask(ctx context.Context) error {
	now := time.Now()
	if now.Sub(l.pinged) < l.c.o.ping || len(l.parts(func(g *gathered) bool { return g.on })) == 0 {
		if now.Sub(l.pinged) >= l.c.o.ping {
			l.pinged = now
		}
		return nil
	}
	_, err := l.c.node.call(ctx, http.MethodGet, filterSubscriptions+"/"+l.id(), nil)
	l.pinged = now
	var refused *refusal
	switch {
	case err == nil:
		l.renewed = now
		return nil
	case !errors.As(err, &refused):
		return retriable(err)
	case refused.status != http.StatusNotFound && now.Sub(l.renewed) < l.c.o.renew:
		// go-waku may fail here though everything is well: what it asks on its own at
		// the same moment counts against the rate, too. Ask again, out of step with it.
		l.pinged = now.Add(l.c.o.ping/4 - l.c.o.ping)
		return nil
	}
	since := l.renewed
	l.renewed = now
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.topics {
		if g.on {
			g.on, g.owed = false, since
		}
	}
	return nil
}

// parts are topics, as many as go into one request.
func (l *light) parts(of func(*gathered) bool) [][]carrier.Topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts [][]carrier.Topic
	n := 0
	for t, g := range l.topics {
		if !of(g) {
			continue
		}
		if n%perRequest == 0 {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], t)
		n++
	}
	return parts
}

func (l *light) id() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	return "r" + strconv.Itoa(l.requests)
}

// filter sends one request about topics.
func (l *light) filter(ctx context.Context, method string, topics []carrier.Topic) error {
	body, err := json.Marshal(struct {
		RequestID      string          `json:"requestId"`
		ContentFilters []carrier.Topic `json:"contentFilters"`
		PubsubTopic    string          `json:"pubsubTopic"`
	}{l.id(), topics, l.c.o.PubsubTopic})
	if err != nil {
		return err
	}
	answer, err := l.c.node.call(ctx, method, filterSubscriptions, body)
	if err != nil {
		return retriable(err)
	}
	// go-waku says 200 and what went wrong if it has succeeded in part, and then more.
	var result struct {
		StatusDesc string `json:"statusDesc"`
	}
	err = json.NewDecoder(bytes.NewReader(answer)).Decode(&result)
	if err == nil && result.StatusDesc != "" && !strings.EqualFold(result.StatusDesc, "OK") {
		return retriable(&refusal{what: method + " " + filterSubscriptions, status: http.StatusOK, text: printable([]byte(result.StatusDesc))})
	}
	return nil
}

// report tells how the node is, as soon as that is known. It is called with the lock
// held.
func (l *light) report() {
	err := l.told
	if err == nil {
		err = l.read
	}
	if l.toldOnce && l.readOnce {
		l.c.is(err)
	}
}

// path is where messages of a topic are read.
func (l *light) path(t carrier.Topic, short bool) string {
	if short {
		return filterMessages + url.PathEscape(string(t))
	}
	return filterMessages + url.PathEscape(l.c.o.PubsubTopic) + "/" + url.PathEscape(string(t))
}
