package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/transport"
)

const (
	directBlock = 8 // small, so that blocks end in short lives
	directBurst = 12
	directPause = 6 * time.Millisecond
)

// sendDirectly is the sender that takes ciphertexts and hands them to the
// network itself, until it is to stop. A message that the parent has in its hands
// must arrive.
func (h *host) sendDirectly(ctx context.Context, to rookery.PublicKey, d *dice) {
	direct, err := h.identity.Direct(to)
	for h.again(err) {
		direct, err = h.identity.Direct(to)
	}
	if err != nil {
		if !closing(err) {
			h.child.broken(fmt.Errorf("direct sending of %v: %w", h.side, err))
		}
		return
	}
	defer direct.Close()
	for n := 0; ; {
		for range 1 + d.below(directBurst) {
			if h.child.stopping(d.within(time.Microsecond)) {
				return
			}
			n++
			h.sendOneDirectly(ctx, direct, to, payload(h.side, h.child.plan.Life, directSender, n, d))
		}
		if h.child.stopping(d.within(directPause)) {
			return
		}
	}
}

func (h *host) sendOneDirectly(ctx context.Context, direct *rookery.Direct, to rookery.PublicKey, payload []byte) {
	h.child.tell(frame{Kind: isMeant, Side: h.side, Payload: payload})
	m, err := direct.Encrypt(ctx, payload)
	for h.again(err) {
		m, err = direct.Encrypt(ctx, payload)
	}
	switch {
	case err == nil && len(m.Installations) == 1 && len(m.Failed) == 0:
	case err == nil:
		h.failed(payload, fmt.Errorf("direct message for installations %v, failed %v", m.Installations, m.Failed))
		return
	case closing(err):
		return
	default:
		h.failed(payload, err)
		return
	}
	h.child.trap.pass(beforeHandOver)
	h.child.tell(frame{Kind: isHandedOver, Side: h.side, ID: hex.EncodeToString(m.ID[:]), Payload: payload, Envelope: framed(transport.Envelope{
		Topic: transport.PersonalTopic(to), Sender: h.identity.PublicKey(), Payload: m.Message,
	})})
	h.child.trap.pass(afterHandOver)
}

// again waits and says that a refused message is to be tried once more, unless
// there is no use in it.
func (h *host) again(err error) bool {
	if !errors.Is(err, cause.ErrOverloaded) && !errors.Is(err, cause.ErrLeaseOver) {
		return false
	}
	h.child.tell(frame{Kind: isLater, Side: h.side, Text: err.Error()})
	time.Sleep(later)
	return true
}

// closing tells whether an error comes of Close, which may come at any moment.
func closing(err error) bool { return errors.Is(err, rookery.ErrClosed) }
