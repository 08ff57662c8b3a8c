package wakurelay

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rookery-im/rookery/transport/carrier"
)

// handing is one message on its way to the peers. It is a pubsub.RPCScheduler, the
// part of the router that sees to whom a message goes, and when that is over.
type handing struct {
	relay *relay
	data  []byte
	out   chan struct{} // closed when the router has done with it

	// These belong to the router's goroutine.
	rpcs         []addressed
	handed, full int // how many queues of peers have taken it, and how many had no room

	mu      sync.Mutex
	has     map[peer.ID]struct{} // whom it has arrived at
	hopes   map[peer.ID]struct{} // these, and whom it may still arrive at
	passed  bool                 // hopes are complete
	settled func(error)          // nil when it was called
	timer   *time.Timer
}

type addressed struct {
	to  peer.ID
	rpc *pubsub.RPC
}

// AddRPC implements pubsub.RPCScheduler.
func (h *handing) AddRPC(to peer.ID, _ string, rpc *pubsub.RPC) {
	h.rpcs = append(h.rpcs, addressed{to, rpc})
}

// All implements pubsub.RPCScheduler. The router names nobody for a message that it
// has had already, such as one that did not reach enough peers and is published
// again; it is then sent to all that take part.
func (h *handing) All() iter.Seq2[peer.ID, *pubsub.RPC] {
	return func(yield func(peer.ID, *pubsub.RPC) bool) {
		defer close(h.out)
		trace := h.relay.trace
		trace.current = h
		defer func() { trace.current = nil }()
		topic := h.relay.first.String()
		if len(h.rpcs) == 0 {
			rpc := &pubsub.RPC{RPC: pb.RPC{Publish: []*pb.Message{{Data: h.data, Topic: &topic}}}}
			for _, p := range h.relay.meshes.takingPart(topic) {
				h.AddRPC(p, "", rpc)
			}
		}
		for _, a := range h.rpcs {
			if !yield(a.to, a.rpc) {
				return
			}
		}
	}
}

// taken is for a peer whose queue has the message now.
func (h *handing) taken(p peer.ID) {
	h.handed++
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hopes[p] = struct{}{}
}

// isIn tells whether the message is part of an RPC: the very one, not an equal one.
func (h *handing) isIn(rpc *pubsub.RPC) bool {
	for _, m := range rpc.GetPublish() {
		if data := m.GetData(); len(data) > 0 && &data[0] == &h.data[0] {
			return true
		}
	}
	return false
}

// arrived is for a peer that has the message now.
func (h *handing) arrived(p peer.ID) {
	h.mu.Lock()
	h.has[p] = struct{}{}
	h.hopes[p] = struct{}{}
	enough := len(h.has) >= h.relay.options.MinPeers
	h.mu.Unlock()
	if enough {
		h.settle(nil)
	}
}

// lose is for a peer that is gone: what it was handed, and has not said to have, is
// lost. There is nothing to wait for if too few are left.
func (h *handing) lose(p peer.ID) {
	h.mu.Lock()
	if _, ok := h.has[p]; !ok {
		delete(h.hopes, p)
	}
	hopeless := h.passed && len(h.hopes) < h.relay.options.MinPeers
	h.mu.Unlock()
	if hopeless {
		h.expire()
	}
}

// hope notes whom the message was handed to. Who is gone by now may have been so
// before it was, and nobody tells again.
func (h *handing) hope() {
	h.mu.Lock()
	h.passed = true
	hopes := slices.Collect(maps.Keys(h.hopes))
	h.mu.Unlock()
	for _, p := range hopes {
		if !h.relay.node.isConnected(p) {
			h.lose(p)
		}
	}
}

// settle tells what became of the message, once.
func (h *handing) settle(err error) {
	h.mu.Lock()
	settled := h.settled
	h.settled = nil
	if h.timer != nil {
		h.timer.Stop()
	}
	h.mu.Unlock()
	if settled != nil {
		h.relay.node.receipts.forget(h)
		settled(err)
	}
}

func (h *handing) expire() {
	h.mu.Lock()
	n := len(h.has)
	h.mu.Unlock()
	h.settle(fmt.Errorf("%w: the message has arrived at %d peers, of %d", carrier.ErrUnreachable, n, h.relay.options.MinPeers))
}

// handOut gives an encoded message to the peers of the first shard, and has settled
// called when it has arrived at enough of them, or cannot. It is not called by two
// goroutines at once: the router's queue of batches holds one, and who fills it after
// the end of ctx would wait forever.
func (r *relay) handOut(ctx context.Context, data []byte, settled func(error)) {
	h := &handing{
		relay: r, data: data, out: make(chan struct{}),
		has: make(map[peer.ID]struct{}), hopes: make(map[peer.ID]struct{}), settled: settled,
	}
	r.node.receipts.expect(h)
	h.settleIf(h.pass(ctx))
	h.hope()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settled != nil {
		h.timer = time.AfterFunc(r.options.pace.patience, h.expire)
	}
}

func (h *handing) settleIf(err error) {
	if err != nil {
		h.settle(err)
	}
}

// pass waits until the router has put the message into the queues of peers.
func (h *handing) pass(ctx context.Context) error {
	r := h.relay
	var batch pubsub.MessageBatch
	err := r.first.AddToBatch(ctx, &batch, h.data)
	if ctx.Err() != nil {
		return carrier.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("%w: %w", carrier.ErrMessage, err)
	}
	err = r.router.PublishBatch(&batch, func(o *pubsub.BatchPublishOptions) error {
		o.Strategy = h
		return nil
	})
	if err != nil {
		return fmt.Errorf("wakurelay: %w", err)
	}
	select {
	case <-h.out:
	case <-ctx.Done():
		return carrier.ErrClosed
	}
	switch {
	case h.handed >= r.options.MinPeers:
		return nil
	case h.full > 0:
		return fmt.Errorf("%w: %d peers have no room", carrier.ErrBusy, h.full)
	}
	return fmt.Errorf("%w: %d peers to hand a message to, of %d", carrier.ErrUnreachable, h.handed, r.options.MinPeers)
}
