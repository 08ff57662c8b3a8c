package wakurest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	// readers is how many topics are read at once.
	readers = 4
	// gowakuFilterCache is how many messages a go-waku node gathers of each topic.
	gowakuFilterCache = 30
	// slower is how many topics make the pauses between sweeps longer by one more.
	slower = 50
)

// sweep is one read of all topics.
type sweep struct {
	l      *light
	last   time.Time // when the one before began
	before int       // how many messages that one has read

	mu    sync.Mutex
	count int
	full  bool
	err   error

	deliver sync.Mutex // one after the other
}

// readAll reads what the node has gathered, until the carrier is closed.
func (l *light) readAll() {
	retry := backoff{least: l.c.o.RetryMin, most: l.c.o.RetryMax}
	pause := pace{least: l.c.o.PollMin, most: l.c.o.PollMax}
	last, before := time.Now(), 0
	for l.c.ctx.Err() == nil {
		began := time.Now()
		topics := l.gathered()
		s := &sweep{l: l, last: last, before: before}
		s.run(l.c.ctx, topics)
		if l.c.ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.read, l.readOnce = s.err, true
		l.report()
		l.mu.Unlock()
		if len(topics) > 0 && (s.full || s.err != nil) {
			l.c.gaps.note(last)
		}
		if s.err != nil {
			sleep(l.c.ctx, retry.failed(), nil)
			continue
		}
		retry.worked()
		last, before = began, s.count
		l.c.tellGaps()
		sleep(l.c.ctx, pause.read(s.count, nwakuCache)*time.Duration(1+len(topics)/slower), nil)
	}
}

// gathered are the topics that the node gathers.
func (l *light) gathered() []carrier.Topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	topics := make([]carrier.Topic, 0, len(l.topics))
	for t, g := range l.topics {
		if g.on && !g.gone {
			topics = append(topics, t)
		}
	}
	return topics
}

func (s *sweep) run(ctx context.Context, topics []carrier.Topic) {
	if len(topics) == 0 {
		_, s.err = s.l.c.node.version(ctx)
		return
	}
	next := make(chan carrier.Topic)
	var work sync.WaitGroup
	for range min(readers, len(topics)) {
		work.Go(func() {
			for t := range next {
				s.topic(ctx, t)
			}
		})
	}
	for _, t := range topics {
		if s.failed() || ctx.Err() != nil {
			break
		}
		next <- t
	}
	close(next)
	work.Wait()
	// nwaku has one cache for all topics. One that was full in the middle of a sweep is
	// read by two of them.
	s.full = s.full || (s.l.short.Load() && s.before+s.count >= nwakuCache)
}

func (s *sweep) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// topic reads one topic and hands up what there is.
func (s *sweep) topic(ctx context.Context, t carrier.Topic) {
	short := s.l.short.Load()
	got, err := s.l.c.take(ctx, s.l.path(t, short))
	switch {
	case notFound(err) && !unsubscribed(err):
		// No such path: the other kind of node has the other one.
		if got, err = s.l.c.take(ctx, s.l.path(t, !short)); !notFound(err) {
			s.l.short.Store(!short)
		}
	case notFound(err) && short:
		// A go-waku node that looks in a shard of its own choice.
		s.l.short.Store(false)
	}
	if unsubscribed(err) {
		s.l.lost(t, s.last)
		return
	}
	s.mu.Lock()
	s.count += got.count
	s.full = s.full || got.resent || got.count >= gowakuFilterCache
	if err != nil && s.err == nil {
		s.err = retriable(err)
	}
	s.mu.Unlock()
	if len(got.messages) > 0 {
		s.deliver.Lock()
		defer s.deliver.Unlock()
		s.l.c.deliver(got.messages)
	}
}

// lost says that the node does not gather a topic any more: it has been restarted.
func (l *light) lost(t carrier.Topic, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.topics[t]; g != nil && g.on {
		g.on = false
		if g.owed.IsZero() {
			g.owed = since
		}
		l.kick()
	}
}

func notFound(err error) bool {
	var refused *refusal
	return errors.As(err, &refused) && refused.status == http.StatusNotFound
}

// unsubscribed tells whether the node says that it does not gather a topic.
func unsubscribed(err error) bool {
	var refused *refusal
	return errors.As(err, &refused) && (refused.status == http.StatusNotFound || refused.status == http.StatusBadRequest) &&
		strings.Contains(strings.ToLower(refused.text), "not subscribed")
}
