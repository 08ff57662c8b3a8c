package wakurest

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	// perQuestion is how many topics a store is asked for at once, and
	// perQuestionBytes how long their names are together in a URL: nodes take no more.
	perQuestion      = 10
	perQuestionBytes = 3 << 10
	// held is how many messages are in memory at about the most, for up to 100
	// questions, and leastPage the size of a page for more.
	held      = 500
	leastPage = 5
	// tries is how often a page is asked for until it is given up.
	tries = 4
)

// History is what the store of a node has kept. It is safe for concurrent use.
type History struct {
	store   *store
	none    bool
	retry   backoff
	instant int
}

// NewHistory makes a history from Options; those about publishing and subscribing
// mean nothing here.
func NewHistory(o Options) (*History, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return newHistory(o, newNode(o)), nil
}

func newHistory(o Options, n *node) *History {
	return &History{
		store:   &store{node: n, pubsub: o.PubsubTopic, peer: o.StorePeer},
		none:    o.NoHistory,
		retry:   backoff{least: o.RetryMin, most: min(o.RetryMax, 2*time.Second)},
		instant: o.instant,
	}
}

// Version asks the node, printable; "" if there is one that does not say. It takes no
// messages from the node, as a Carrier does. carrier.ErrUnreachable, carrier.ErrBusy.
func (h *History) Version(ctx context.Context) (string, error) { return h.store.node.version(ctx) }

// Close closes connections that nobody uses. It does not end History.
func (h *History) Close() error {
	h.store.node.close()
	return nil
}

// History does what carrier.Carrier says. Its memory grows with the number of topics,
// not with that of messages. A message that a page has given twice comes once if the
// two are next to each other.
func (h *History) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	if err := checkTopics(topics); err != nil {
		return err
	}
	if h.none {
		return carrier.ErrNoHistory
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	since = max(since, 0)
	if until <= max(since, 1) {
		return nil
	}
	topics = slices.Clone(topics)
	slices.Sort(topics)
	parts := divide(slices.Compact(topics))
	var all merged
	for _, part := range parts {
		s := &stream{h: h, wanted: part, last: since, question: question{
			topics: part, since: since, last: until - 1, size: min(max(held/len(parts), leastPage), maxPage),
		}}
		if err := s.fill(ctx); err != nil {
			return err
		}
		if len(s.ready) > 0 {
			all = append(all, s)
		}
	}
	heap.Init(&all)
	for len(all) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := all[0]
		if err := each(s.ready[0]); err != nil {
			return err
		}
		s.ready[0].Payload = nil
		s.ready = s.ready[1:]
		if err := s.fill(ctx); err != nil {
			return err
		}
		if len(s.ready) > 0 {
			heap.Fix(&all, 0)
		} else {
			heap.Pop(&all)
		}
	}
	return nil
}

// divide makes parts of topics that fit into a question each.
func divide(topics []carrier.Topic) (parts [][]carrier.Topic) {
	length := 0
	for i, t := range topics {
		n := len(url.QueryEscape(string(t)))
		if length += n; i == 0 || len(parts[len(parts)-1]) == perQuestion || length > perQuestionBytes {
			parts, length = append(parts, nil), n
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], t)
	}
	return parts
}

// page asks until there is an answer, for a while.
func (h *History) page(ctx context.Context, q *question) (*page, error) {
	retry := h.retry
	for try := 1; ; try++ {
		p, err := h.store.ask(ctx, q)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err = historyError(err); !carrier.Retriable(err) || try == tries {
			return nil, err
		}
		pause := retry.failed()
		var refused *refusal
		if errors.As(err, &refused) {
			pause = max(pause, refused.pause)
		}
		sleep(ctx, pause, nil)
	}
}

// historyError is what a failure means for who asks.
func historyError(err error) error {
	var refused *refusal
	switch {
	case errors.Is(err, carrier.ErrNoHistory):
		return err
	case errors.Is(err, errShape), errors.Is(err, errTooLong):
		return fmt.Errorf("%w: %w", carrier.ErrHistory, err)
	case !errors.As(err, &refused) || refused.busy():
		return retriable(err)
	}
	switch refused.status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %w", carrier.ErrHistory, err)
	}
	return retriable(err)
}

// merged are streams, the one with the oldest message first.
type merged []*stream

func (m merged) Len() int           { return len(m) }
func (m merged) Less(i, j int) bool { return m[i].ready[0].Time < m[j].ready[0].Time }
func (m merged) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merged) Push(s any)        { *m = append(*m, s.(*stream)) }
func (m *merged) Pop() any {
	old := *m
	s := old[len(old)-1]
	*m = old[:len(old)-1]
	return s
}

func byTime(a, b carrier.Received) int { return cmp.Compare(a.Time, b.Time) }
