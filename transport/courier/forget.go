package courier

import (
	"context"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// Forget implements transport.Transport. What stays are ids of envelopes, of which
// nobody can tell for whom they were, and the cursor.
func (c *Courier) Forget(ctx context.Context, identity x3dh.IdentityPublicKey) error {
	logical := transport.PersonalTopic(identity)
	_, own, err := routesOf(logical)
	if err != nil {
		return err
	}
	// A write that was under way may bring a route back that was left during it: the
	// second time finds that one.
	for range 2 {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return transport.ErrClosed
		}
		there := c.hosts[identity] != nil || c.subscriptions[logical] != nil
		found := c.forgetRoutes(identity, own, there)
		waiting := found || c.writing || len(c.puts) > 0 // perhaps since another try
		c.mu.Unlock()
		if !there {
			waiting = c.segments.forget(logical) || waiting
		}
		if !waiting {
			return nil
		}
		if err := c.written(ctx); err != nil {
			return err
		}
	}
	return nil
}

// forgetRoutes deletes the routes of an identity that is not there, and those of codes
// and chats that nobody listens to. The lock is held.
func (c *Courier) forgetRoutes(identity x3dh.IdentityPublicKey, own []*route, there bool) (found bool) {
	for _, r := range c.coverage.routes {
		switch {
		case r.present:
			continue
		case r.kind == topic.KindNegotiated:
			if there || r.identity != identity {
				continue
			}
		case r.digest == topic.Digest{}: // a topic for an identity: the id says for which
			if there || r.id != own[0].id && r.id != own[1].id {
				continue
			}
		}
		c.coverage.drop(r)
		c.unstore(r)
		found = true
	}
	if !there {
		delete(c.restorable, identity)
	}
	return found
}

// unstore deletes the record of a route that is no more, and its key if no other
// route has it. The lock is held.
func (c *Courier) unstore(r *route) {
	c.puts = append(c.puts, persistence.Record{Name: routeName(r.id), Delete: true})
	if (r.digest != topic.Digest{}) && !c.coverage.uses(r.digest) {
		c.puts = append(c.puts, persistence.Record{Name: keyName(r.digest), Delete: true})
		c.keys.Drop(r.digest)
	}
	c.writeLater()
}

// written waits until all that is to be written now is durable.
func (c *Courier) written(ctx context.Context) error {
	done := make(chan struct{})
	c.mu.Lock()
	c.thens = append(c.thens, func() { close(done) })
	c.mu.Unlock()
	c.writeSoon()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return transport.ErrClosed
	}
}
