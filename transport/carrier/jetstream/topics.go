package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// topics are what is subscribed, and how far the feed is with it. The carrier's lock
// guards it.
type topics struct {
	names   map[string]carrier.Topic // by token
	version uint64                   // counts changes
	// handled is the version that the feed has dealt with, with what result; told is
	// closed when that changes.
	handled uint64
	result  error
	told    chan struct{}
	// wide: the feed takes everything, so that it has new topics too.
	wide bool
	// placed: the feed has a place in the stream. owed is when a Subscribe has returned
	// before that.
	placed bool
	owed   time.Time
}

// plan is what the feed has to deliver.
type plan struct {
	version uint64
	none    bool
	wide    bool
	tokens  []string // if it is not wide
}

func (c *Carrier) plan() plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.topics
	limit := c.options.Filters
	if t.wide {
		limit /= 2 // not back and forth with each topic
	}
	p := plan{version: t.version, none: len(t.names) == 0, wide: len(t.names) > limit}
	if !p.wide {
		for token := range t.names {
			p.tokens = append(p.tokens, token)
		}
	}
	t.wide = p.wide
	return p
}

// handle tells what became of a version of the topics.
func (c *Carrier) handle(version uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.topics
	t.handled, t.result = version, nil
	if errors.Is(err, ErrDenied) { // all else may pass
		t.result = err
	}
	close(t.told)
	t.told = make(chan struct{})
}

// topicOf gives the topic of a token, if it is subscribed.
func (c *Carrier) topicOf(token string) (carrier.Topic, carrier.Receiver, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	topic, ok := c.topics.names[token]
	return topic, c.receiver, ok
}

// Receive implements carrier.Carrier.
func (c *Carrier) Receive(r carrier.Receiver) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiver = r
}

// Subscribe implements carrier.Carrier. ErrDenied if the account may not read.
func (c *Carrier) Subscribe(ctx context.Context, topics ...carrier.Topic) error {
	for _, topic := range topics {
		if err := topic.Check(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil || len(topics) == 0 {
		return err
	}
	added, version, err := c.add(topics)
	if err != nil {
		return err
	}
	signal(c.changed)
	for {
		epoch, linked := c.link.now()
		told, err := c.covered(epoch, version)
		if err != nil {
			c.remove(added)
		}
		if told == nil {
			return err
		}
		select {
		case <-told:
		case <-linked:
		case <-ctx.Done():
			c.remove(added)
			return ctx.Err()
		case <-c.ctx.Done():
			return carrier.ErrClosed
		}
	}
}

// add puts topics in, and gives the tokens of those that are new.
func (c *Carrier) add(topics []carrier.Topic) (added []string, version uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		return nil, 0, carrier.ErrClosed
	case c.receiver == nil:
		return nil, 0, fmt.Errorf("%w: subscribed before there is a receiver", carrier.ErrOptions)
	}
	for _, topic := range topics {
		token := token(topic)
		if _, there := c.topics.names[token]; !there {
			c.topics.names[token] = topic
			added = append(added, token)
		}
	}
	if len(added) > 0 {
		c.topics.version++
	}
	return added, c.topics.version, nil
}

// covered gives no channel if nobody has to wait for a version: the feed has it, or
// will have it when there is a connection.
func (c *Carrier) covered(epoch context.Context, version uint64) (told <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.topics
	if t.handled < version && epoch != nil {
		return t.told, nil
	}
	if t.handled >= version && t.result != nil {
		return nil, t.result
	}
	if !t.placed && t.owed.IsZero() {
		t.owed = time.Now()
	}
	return nil, nil
}

// Unsubscribe implements carrier.Carrier.
func (c *Carrier) Unsubscribe(topics ...carrier.Topic) {
	tokens := make([]string, len(topics))
	for i, topic := range topics {
		tokens[i] = token(topic)
	}
	c.remove(tokens)
}

func (c *Carrier) remove(tokens []string) {
	c.mu.Lock()
	before := len(c.topics.names)
	for _, token := range tokens {
		delete(c.topics.names, token)
	}
	changed := len(c.topics.names) != before
	if changed {
		c.topics.version++
	}
	c.mu.Unlock()
	if changed {
		signal(c.changed)
	}
}

// signal wakes one who waits, now or later.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
