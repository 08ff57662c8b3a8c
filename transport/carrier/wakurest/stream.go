package wakurest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	// maxStuck is how many pages may come that have only what came before.
	maxStuck = 64
	// maxInstant is how many messages of one instant may come, and how many in a row
	// that are none: anybody can publish them, and a few must not bar all others.
	maxInstant = 1 << 15
	// maxPages bounds the pages of one stream.
	maxPages = 1 << 20
)

// stream is the history of a few topics, page by page. Whatever the node answers, it
// ends: each page has to lead further, within what was asked for.
type stream struct {
	h        *History
	question question
	wanted   []carrier.Topic // sorted

	ready []carrier.Received // what has come and was not taken
	done  bool
	pages int
	stuck int // pages, and
	none  int // messages that are none, since there was a new one
	// last is the time of the latest message, and seen are those of that time.
	last int64
	seen map[carrier.Hash]struct{}
	// anew is the time from which it was asked anew, without a cursor, if it was.
	anew int64
}

// fill sees to it that there is a message, unless there are no more.
func (s *stream) fill(ctx context.Context) error {
	for len(s.ready) == 0 && !s.done {
		p, err := s.h.page(ctx, &s.question)
		switch {
		case s.question.cursor != nil && refusedCursor(err):
			// A store has dropped the message that a cursor names, or takes no such
			// cursor for another reason.
			if !s.askAnew() {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if p.count == 0 && s.question.cursor != nil && s.askAnew() {
			continue // nwaku has nothing after a cursor that it does not know
		}
		if err := s.take(p); err != nil {
			return err
		}
	}
	return nil
}

func refusedCursor(err error) bool {
	var refused *refusal
	return errors.As(err, &refused) && !refused.busy() &&
		(refused.status < http.StatusInternalServerError || strings.Contains(refused.text, "cursor"))
}

// askAnew goes on from the latest time without a cursor, once for each such time.
func (s *stream) askAnew() bool {
	if s.last <= s.anew {
		return false
	}
	s.anew = s.last
	s.question.since, s.question.cursor = s.last, nil
	return true
}

// take checks a page and takes what is new of it.
func (s *stream) take(p *page) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: page %d: %s", carrier.ErrHistory, s.pages, fmt.Sprintf(format, args...))
	}
	if s.pages++; s.pages > maxPages {
		return wrong("no end")
	}
	slices.SortStableFunc(p.messages, byTime)
	before, fresh := s.last, false
	for _, m := range p.messages {
		switch {
		case m.Time < s.question.since || m.Time > s.question.last:
			return wrong("message of %d, asked for %d to %d", m.Time, s.question.since, s.question.last)
		case m.Time < before:
			return wrong("message of %d after one of %d", m.Time, before)
		case m.Time > s.last:
			s.last = m.Time
			clear(s.seen)
		}
		hash := m.Hash()
		if _, again := s.seen[hash]; again {
			continue
		}
		if s.seen == nil {
			s.seen = make(map[carrier.Hash]struct{})
		}
		if s.seen[hash], fresh = struct{}{}, true; len(s.seen) > s.h.instant {
			return wrong("%d messages of %d", len(s.seen), s.last)
		}
		if _, wanted := slices.BinarySearch(s.wanted, m.Topic); wanted {
			m.Ephemeral = false // it is kept
			s.ready = append(s.ready, m)
		}
	}
	switch s.none += p.count - len(p.messages); {
	case fresh:
		s.stuck, s.none = 0, 0
	case len(p.messages) > 0:
		s.stuck++
	}
	if s.stuck > maxStuck || s.none > s.h.instant {
		return wrong("%d pages and %d messages that are none lead no further than %d", s.stuck, s.none, s.last)
	}
	switch {
	case p.next == nil:
		s.done = true
	case p.count == 0:
		return wrong("no messages, and more to come")
	case maps.EqualFunc(p.next, s.question.cursor, slices.Equal[[]string]):
		return wrong("its cursor leads to itself")
	}
	s.question.cursor = p.next
	return nil
}
