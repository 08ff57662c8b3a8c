package wakurelay

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multistream"
	"google.golang.org/protobuf/encoding/protowire"
)

// receipts finds out which messages have arrived at whom. Gossip has no answers, and
// what is in a queue, or was written to a connection that is dead, is lost when that
// ends. So once a message is written, something is asked on the same connection: the
// answer can only come when all before it has arrived.
type receipts struct {
	mu      sync.Mutex
	waiting map[int][]*handing // by the length of the message
}

func newReceipts() *receipts { return &receipts{waiting: make(map[int][]*handing)} }

func (r *receipts) expect(h *handing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[len(h.data)] = append(r.waiting[len(h.data)], h)
}

func (r *receipts) forget(h *handing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := len(h.data)
	r.waiting[size] = slices.DeleteFunc(r.waiting[size], func(other *handing) bool { return other == h })
	if len(r.waiting[size]) == 0 {
		delete(r.waiting, size)
	}
}

// all is what nothing is known of yet.
func (r *receipts) all() []*handing {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*handing
	for _, some := range r.waiting {
		all = append(all, some...)
	}
	return all
}

// in gives those that are part of a frame of the relay protocol.
func (r *receipts) in(frame []byte) []*handing {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 { // as good as always: most frames relay what others say
		return nil
	}
	var found []*handing
	_, n := protowire.ConsumeVarint(frame) // the length
	eachField(frame[max(n, 0):], fieldPublish, func(message []byte) {
		eachField(message, fieldData, func(data []byte) {
			for _, h := range r.waiting[len(data)] {
				if string(h.data) == string(data) {
					found = append(found, h)
				}
			}
		})
	})
	return found
}

// Fields of the relay protocol's frames.
const (
	fieldPublish protowire.Number = 2 // of a frame: a message
	fieldData    protowire.Number = 2 // of a message: its content
)

// eachField calls for each field of a number that has bytes. The router has just made
// what it reads.
func eachField(b []byte, wanted protowire.Number, call func([]byte)) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		size := protowire.ConsumeFieldValue(field, kind, b[n:])
		if size < 0 {
			return
		}
		if field == wanted && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b[n:])
			call(value)
		}
		b = b[n+size:]
	}
}

// outgoing is a stream on which the router writes to a peer, one frame at a time.
type outgoing struct {
	network.Stream
	node *node

	mu     sync.Mutex
	asking bool
	unsure []*handing // written, and not asked for yet
}

// Write implements io.Writer.
func (o *outgoing) Write(frame []byte) (int, error) {
	found := o.node.receipts.in(frame) // before, since the other side may be quick
	n, err := o.Stream.Write(frame)
	if err == nil && len(found) > 0 {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.unsure = append(o.unsure, found...)
		if !o.asking {
			o.asking = true
			go o.askAll()
		}
	}
	return n, err
}

// askAll asks until there is nothing left to ask for.
func (o *outgoing) askAll() {
	for {
		o.mu.Lock()
		some := o.unsure
		o.unsure = nil
		o.asking = len(some) > 0
		o.mu.Unlock()
		if len(some) == 0 {
			return
		}
		if o.ask() != nil {
			continue // they wait for others
		}
		for _, h := range some {
			h.arrived(o.Conn().RemotePeer())
		}
	}
}

// ask is there and back on the connection of the stream.
func (o *outgoing) ask() error {
	ctx, cancel := context.WithTimeout(context.Background(), o.node.patience)
	defer cancel()
	s, err := o.Conn().NewStream(ctx)
	if err != nil {
		return err
	}
	_, err = o.node.negotiate(s, []protocol.ID{ping.ID})
	var unknown multistream.ErrNotSupported[protocol.ID]
	if err != nil && !errors.As(err, &unknown) {
		_ = s.Reset()
		return err
	}
	_ = s.Close() // it has done its work
	return nil
}
