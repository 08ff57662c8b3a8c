package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/rookery-im/rookery"
)

// host is one side in the child: an engine with one identity.
type host struct {
	child    *child
	side     side
	store    *hookedStore
	engine   *rookery.Engine
	identity *rookery.Identity
	dice     *dice // of the handler, which runs once at a time
}

// open opens the engine of a side. The options say which network it is on, and the
// identity who the side is if it has none yet.
func (c *child) open(ctx context.Context, dir string, s side, options rookery.Options, identity rookery.NewIdentity) (*host, error) {
	h := &host{child: c, side: s, dice: newDice(c.plan.Seed + uint64(s))} //nolint:gosec // 0 or 1
	logger := c.logger.With("side", s.String())
	store, err := c.openStore(ctx, dir, s, logger)
	if err != nil {
		return nil, err
	}
	h.store = store
	options.Store, options.Handler, options.Now, options.DirectBlock, options.Logger = store, h.handle, c.now, directBlock, logger
	h.engine, err = rookery.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	switch hosted := h.engine.Identities(); len(hosted) {
	case 0:
		h.identity, err = h.engine.CreateIdentity(ctx, identity)
	case 1:
		h.identity = hosted[0]
	default:
		err = fmt.Errorf("%d identities are hosted", len(hosted))
	}
	if err != nil {
		return nil, err
	}
	key := h.identity.PublicKey()
	c.tell(frame{Kind: isReady, Side: s, Payload: key[:], Text: h.identity.InstallationID()})
	return h, nil
}

// meet gives the other's bundle to who knows no installation of it yet.
func (h *host) meet(ctx context.Context, other rookery.PublicKey, bundle []byte) error {
	contact, err := h.identity.Contact(ctx, other)
	if err != nil || len(contact.Installations) > 0 {
		return err
	}
	return h.identity.TakeBundle(ctx, other, bundle)
}

// behind is on how many topics the history may have messages that did not come yet,
// and 1 if the network is not there.
func (h *host) behind() uint64 {
	health, ok := h.engine.Health()
	switch {
	case !ok:
		return 0
	case !health.Carrier.Ready:
		return 1
	}
	return uint64(health.Behind) //nolint:gosec // not negative
}

const (
	forgotten = 30  // of 1,000 messages are not acknowledged in this life
	lateAcks  = 100 // of 1,000
	maxLate   = 10 * time.Millisecond
)

// handle is the application.
func (h *host) handle(e rookery.Event) {
	switch e := e.(type) {
	case rookery.Message:
		h.message(e)
	case rookery.Refused:
		h.child.tell(frame{Kind: isRefused, Side: h.side, Text: e.Err.Error()})
	case rookery.Alarm:
		h.child.tell(frame{Kind: isAlarm, Side: h.side, Text: e.Err.Error()})
	case rookery.SessionChanged:
		h.child.tell(frame{Kind: isSession, Side: h.side, Text: fmt.Sprintf("%v: %v", e.Change, e.Cause)})
	}
}

func (h *host) message(m rookery.Message) {
	id := hex.EncodeToString(m.ID[:])
	h.child.tell(frame{Kind: isTold, Side: h.side, ID: id, Payload: m.Payload, Peer: m.Sender[:]})
	h.child.trap.pass(beforeAck)
	acknowledge := func() {
		h.child.tell(frame{Kind: isAcking, Side: h.side, ID: id})
		m.Ack()
		h.child.trap.pass(afterAck)
	}
	switch fate := h.dice.below(1000); {
	case h.child.plan.Drain:
		acknowledge()
	case fate < forgotten:
	case fate < forgotten+lateAcks:
		time.AfterFunc(h.dice.within(maxLate), acknowledge)
	default:
		acknowledge()
	}
}

const (
	maxBurst   = 6
	maxPause   = 4 * time.Millisecond
	maxPadding = 300
	largeEvery = 60 // messages
	largeBytes = 20_000
	later      = 5 * time.Millisecond // until a refused message is tried again
)

// send is one sender of the workload: bursts of payloads that are all
// different, until it is to stop.
func (h *host) send(ctx context.Context, sender int, to rookery.PublicKey, d *dice) {
	for n := 0; ; {
		for range 1 + d.below(maxBurst) {
			if h.child.stopping(d.within(time.Microsecond)) {
				return
			}
			n++
			h.sendOne(ctx, to, payload(h.side, h.child.plan.Life, sender, n, d))
		}
		if h.child.stopping(d.within(maxPause)) {
			return
		}
	}
}

func (h *host) sendOne(ctx context.Context, to rookery.PublicKey, payload []byte) {
	h.child.tell(frame{Kind: isMeant, Side: h.side, Payload: payload})
	receipt, err := h.identity.Send(ctx, to, payload)
	for h.again(err) {
		receipt, err = h.identity.Send(ctx, to, payload)
	}
	switch {
	case err == nil && receipt.ForwardSecrecy && len(receipt.Installations) == 1 && len(receipt.Failed) == 0:
		h.child.tell(frame{Kind: isSent, Side: h.side, ID: hex.EncodeToString(receipt.ID[:]), Payload: payload})
	case err == nil:
		h.failed(payload, fmt.Errorf("receipt for installations %v, failed %v, forward secrecy %v",
			receipt.Installations, receipt.Failed, receipt.ForwardSecrecy))
	case closing(err):
	default:
		h.failed(payload, err)
	}
}

func (h *host) failed(payload []byte, err error) {
	h.child.tell(frame{Kind: isFailed, Side: h.side, Payload: payload, Text: err.Error()})
}

// payload makes one that there never was before.
func payload(s side, life, sender, n int, d *dice) []byte {
	size := d.below(maxPadding)
	if d.below(largeEvery) == 0 {
		size = d.below(largeBytes)
	}
	head := fmt.Sprintf("%v %d/%d/%d %016x ", s, life, sender, n, d.next())
	out := make([]byte, len(head)+size)
	copy(out, head)
	for i := len(head); i < len(out); i++ {
		out[i] = '.'
	}
	return out
}

// childLogger writes what the engine warns of where the parent keeps it.
func childLogger(c *child) *slog.Logger {
	return slog.New(slog.NewTextHandler(c.errors, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
