package courier

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// verdict is what became of an envelope on a route.
type verdict uint8

const (
	foreign       verdict = iota // for another key
	malformed                    // for no key
	unsigned                     // nobody is its sender
	misattributed                // of somebody who has no say on the topic
	echo                         // our own, on a topic that two share
	opened
	unavailable // the key is not here; perhaps later
)

// found is what was in an envelope, for a route.
type found struct {
	route   *route
	verdict verdict
	envelope.Opened
}

// errKeyWanted: the key of a topic has to be looked for, which takes time.
var errKeyWanted = errors.New("courier: key is not at hand")

// ended is a context for those who have no time to wait.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// judge says whether a sender may publish on a route.
func (r *route) judge(sender x3dh.IdentityPublicKey) verdict {
	switch r.kind {
	case topic.KindContactCode:
		if sender != r.identity {
			return misattributed
		}
	case topic.KindNegotiated: // its key is known to the two alone
		switch sender {
		case r.peer:
		case r.identity:
			return echo
		default:
			return misattributed
		}
	case topic.KindPartitioned, topic.KindPersonal, topic.KindPublicChat:
	}
	return opened
}

// verdictOf is that of an envelope that was opened or not.
func (r *route) verdictOf(o *envelope.Opened, err error) verdict {
	switch {
	case err == nil:
		return r.judge(o.Signer)
	case errors.Is(err, envelope.ErrUnsigned):
		return unsigned
	case errors.Is(err, envelope.ErrDecrypt):
		return foreign
	}
	return malformed
}

// open tries the keys of all routes on a message. With ctx ended it gives
// errKeyWanted instead of waiting for a key.
func (c *Courier) open(ctx context.Context, a *arrival) (all []found, err error) {
	defer func() {
		if thrown := recover(); thrown != nil { // in code that reads what strangers write
			c.counts.panics.Add(1)
			c.log.Error("an envelope could not be opened for a bug", "panic", fmt.Sprintf("%T", thrown), "payload bytes", len(a.payload))
			all, err = nil, nil
		}
	}()
	for _, r := range a.routes {
		if !r.kind.Symmetric() {
			continue
		}
		f, err := c.openSymmetric(ctx, r, a.payload)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return c.openAsymmetric(a, all), nil
}

func (c *Courier) openSymmetric(ctx context.Context, r *route, payload []byte) (found, error) {
	f := found{route: r, verdict: unavailable}
	try := func(ctx context.Context, name topic.Name) error {
		key, err := c.keys.Get(ctx, name)
		if err != nil {
			return err
		}
		f.Opened, err = envelope.OpenSymmetric(&key, payload)
		key.Wipe()
		f.verdict = r.verdictOf(&f.Opened, err)
		return nil
	}
	waiting := ctx
	if ctx == ended {
		waiting = nil
	}
	var err error
	if r.kind == topic.KindNegotiated {
		err = c.use(r.identity, func(h *hosted, key *x3dh.IdentityKey) error {
			name, err := h.negotiated(key, r.peer)
			if err != nil {
				return err
			}
			if waiting == nil {
				return try(ended, name)
			}
			return try(h.ctx, name)
		})
	} else {
		err = try(ctx, r.name)
	}
	if err != nil && ctx == ended && !errors.Is(err, transport.ErrNotHosted) {
		return f, errKeyWanted
	}
	return f, nil
}

// openAsymmetric tries the identities until one can open the message: no other can
// then.
func (c *Courier) openAsymmetric(a *arrival, all []found) []found {
	var sealed *envelope.Sealed
	rest := foreign // what those are told that need not try
	try := true
	for _, r := range a.routes {
		if r.kind.Symmetric() {
			continue
		}
		if sealed == nil {
			parsed, err := envelope.Parse(a.payload)
			if err != nil {
				rest, try = malformed, false
			}
			sealed = &parsed
		}
		f := found{route: r, verdict: rest}
		if try {
			err := c.use(r.identity, func(_ *hosted, key *x3dh.IdentityKey) error {
				var err error
				f.Opened, err = sealed.Open(key)
				f.verdict = r.verdictOf(&f.Opened, err)
				return nil
			})
			if err != nil {
				f.verdict = unavailable
			}
			try = f.verdict == foreign || f.verdict == unavailable
		}
		all = append(all, f)
	}
	return all
}
