package wakurelay

import (
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// tracer is told by the router what it does; it must not hold it up. All it does
// something about, RejectMessage aside, comes from the router's own goroutine.
type tracer struct {
	meshes    *meshes
	delivered func(*pubsub.Message)
	dropped   func(*pubsub.Message)
	// current is what is being handed out. Only the router's goroutine uses it.
	current *handing
}

var _ pubsub.RawTracer = (*tracer)(nil)

// DeliverMessage is called for messages of others that are valid and new.
func (t *tracer) DeliverMessage(m *pubsub.Message) { t.delivered(m) }

// RejectMessage is called for what goes no further.
func (t *tracer) RejectMessage(m *pubsub.Message, reason string) {
	if reason == pubsub.RejectValidationQueueFull || reason == pubsub.RejectValidationThrottled {
		t.dropped(m)
	}
}

// SendRPC is called for what is put in the queue of a peer.
func (t *tracer) SendRPC(rpc *pubsub.RPC, p peer.ID) {
	if t.current != nil && t.current.isIn(rpc) {
		t.current.taken(p)
	}
}

// DropRPC is called for what finds no room there.
func (t *tracer) DropRPC(rpc *pubsub.RPC, _ peer.ID) {
	if t.current != nil && t.current.isIn(rpc) {
		t.current.full++
	}
}

// Graft is called for peers that enter a mesh.
func (t *tracer) Graft(p peer.ID, topic string) { t.meshes.graft(p, topic) }

// Prune is called for peers that leave a mesh.
func (t *tracer) Prune(p peer.ID, topic string) { t.meshes.prune(p, topic) }

// RemovePeer is called for peers that are gone.
func (t *tracer) RemovePeer(p peer.ID) { t.meshes.remove(p) }

// The rest says nothing new.

func (t *tracer) AddPeer(peer.ID, protocol.ID)         {}
func (t *tracer) Join(string)                          {}
func (t *tracer) Leave(string)                         {}
func (t *tracer) ValidateMessage(*pubsub.Message)      {}
func (t *tracer) DuplicateMessage(*pubsub.Message)     {}
func (t *tracer) ThrottlePeer(peer.ID)                 {}
func (t *tracer) RecvRPC(*pubsub.RPC)                  {}
func (t *tracer) UndeliverableMessage(*pubsub.Message) {}
