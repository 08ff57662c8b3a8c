package courier

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// hosted is an identity that lives here. The courier's lock guards it, but for the
// names.
type hosted struct {
	identity x3dh.IdentityPublicKey
	ctx      context.Context // ends what waits with the key in hand
	end      context.CancelFunc
	leases   []*lease
	users    int
	freed    sync.Cond

	naming sync.Mutex
	names  map[x3dh.IdentityPublicKey]topic.Name // of negotiated topics, by peer
}

// lease is one call of Host.
type lease struct {
	key   *x3dh.IdentityKey
	users int
}

// Format implements fmt.Formatter without the names.
func (h *hosted) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "hosted %v", h.identity) }

// Host implements transport.Transport.
func (c *Courier) Host(identity *x3dh.IdentityKey) (func(), error) {
	public := identity.Public()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, transport.ErrClosed
	}
	h := c.hosts[public]
	if h == nil {
		h = &hosted{identity: public}
		h.freed.L = &c.mu
		h.ctx, h.end = context.WithCancel(c.ctx)
		c.hosts[public] = h
	}
	l := &lease{key: identity}
	h.leases = append(h.leases, l)
	return sync.OnceFunc(func() { c.leave(h, l) }), nil
}

// leave returns when the key is not in use any more.
func (c *Courier) leave(h *hosted, l *lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.leases = slices.DeleteFunc(h.leases, func(other *lease) bool { return other == l })
	last := len(h.leases) == 0
	if last {
		delete(c.hosts, h.identity)
		h.end()
	}
	for l.users > 0 || last && h.users > 0 {
		h.freed.Wait()
	}
	if last {
		for _, name := range h.names { // nobody uses them
			name.Wipe()
		}
		clear(h.names)
	}
}

// use calls f, which keeps the key of an identity from leaving. It must be called
// without the courier's lock, and gives transport.ErrNotHosted if the identity does
// not live here.
func (c *Courier) use(identity x3dh.IdentityPublicKey, f func(h *hosted, key *x3dh.IdentityKey) error) error {
	c.mu.Lock()
	h := c.hosts[identity]
	if h == nil {
		c.mu.Unlock()
		return transport.ErrNotHosted
	}
	l := h.leases[0]
	l.users++
	h.users++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		l.users--
		h.users--
		if l.users == 0 {
			h.freed.Broadcast()
		}
		c.mu.Unlock()
	}()
	return f(h, l.key)
}

// negotiated is the name of the topic that is shared with a peer. Only for who uses
// the identity, and as long as he does.
func (h *hosted) negotiated(key *x3dh.IdentityKey, peer x3dh.IdentityPublicKey) (topic.Name, error) {
	h.naming.Lock()
	defer h.naming.Unlock()
	if name, ok := h.names[peer]; ok {
		return name, nil
	}
	name, err := topic.Negotiated(key, peer)
	if err == nil {
		if h.names == nil {
			h.names = make(map[x3dh.IdentityPublicKey]topic.Name)
		}
		h.names[peer] = name
	}
	return name, err
}

// forget drops the name of a topic that is not listened to any more. Somebody may
// be using it: it is not wiped.
func (h *hosted) forget(peer x3dh.IdentityPublicKey) {
	h.naming.Lock()
	defer h.naming.Unlock()
	delete(h.names, peer)
}
