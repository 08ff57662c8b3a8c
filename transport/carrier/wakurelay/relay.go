package wakurelay

import (
	"context"
	"errors"
	"fmt"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport/carrier"
)

// relay is the part in the shards: what comes in and what goes out.
type relay struct {
	node    *node
	options *settled
	filter  *filter
	inbox   *inbox
	meshes  *meshes
	trace   *tracer
	router  *pubsub.PubSub
	first   *pubsub.Topic // the shard that is published to
	faults  *faults
}

// skew is how far the clocks of those who send and those who keep a history may be
// apart: deployed nodes keep only what is within it, under the time of who has sent.
const skew = 20 * time.Second

// newRelay takes part in the shards until the end of ctx.
func newRelay(ctx context.Context, n *node, o *settled) (*relay, error) {
	r := &relay{node: n, options: o, filter: newFilter(), inbox: newInbox(o.Incoming, o.IncomingBytes), faults: newFaults()}
	r.meshes = newMeshes(o.topics, o.MinPeers, settling*o.pace.heartbeat, r.missed)
	r.trace = &tracer{meshes: r.meshes, delivered: r.delivered, dropped: r.dropped}
	var err error
	if r.router, err = newRouter(ctx, n, o, r.trace, r.inspect); err != nil {
		return nil, err
	}
	for i, name := range o.topics {
		topic, err := join(r.router, name, r.validate)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			r.first = topic
		}
	}
	return r, nil
}

// validate says whether a message is relayed. Only what no peer takes for a message
// speaks against who has sent it: what some take and others do not comes from honest
// peers too.
func (r *relay) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if len(m.GetData()) > r.options.MaxMessage {
		return pubsub.ValidationIgnore
	}
	decoded, err := waku.DecodeMessage(m.GetData())
	switch {
	case errors.Is(err, waku.ErrMalformed):
		if r.faults.add(from) {
			go r.node.shutOut(from) // which waits for the end of its connections
		}
		return pubsub.ValidationReject
	case err != nil || len(decoded.Payload) == 0 || decoded.ContentTopic == "":
		return pubsub.ValidationIgnore
	}
	if r.filter.wants(decoded.ContentTopic) {
		m.ValidatorData = received(&decoded)
	}
	return pubsub.ValidationAccept
}

// received is a message as the port has it.
func received(m *waku.Message) carrier.Message {
	return carrier.Message{
		Topic:     carrier.Topic(m.ContentTopic),
		Payload:   m.Payload,
		Time:      m.Timestamp,
		Ephemeral: m.Ephemeral,
	}
}

// delivered takes a message of others that is valid.
func (r *relay) delivered(m *pubsub.Message) {
	if message, ok := m.ValidatorData.(carrier.Message); ok {
		r.handUp(message)
	}
}

// handUp hands up what is wanted, and within the bounds of the port.
func (r *relay) handUp(m carrier.Message) {
	if m.Check() == nil {
		r.inbox.push(carrier.Received{Message: m, At: place(time.Now())})
	}
}

// dropped is for messages that the router has no room for.
func (r *relay) dropped(m *pubsub.Message) {
	if decoded, err := waku.DecodeMessage(m.GetData()); err == nil && r.filter.wants(decoded.ContentTopic) {
		r.inbox.miss(place(time.Now()))
	}
}

// missed is for messages that others did not send us. Before anything is subscribed,
// nothing is missed.
func (r *relay) missed(since time.Time) {
	if !r.filter.isEmpty() {
		r.inbox.miss(place(since))
	}
}

// place is where the history has what came at a time.
func place(t time.Time) int64 { return t.Add(-skew).UnixNano() }

// inspect sees all that comes before the router does.
func (r *relay) inspect(from peer.ID, rpc *pubsub.RPC) error {
	r.meshes.hear(from)
	for _, s := range rpc.GetSubscriptions() {
		r.meshes.subscribe(from, s.GetTopicid(), s.GetSubscribe())
	}
	return nil
}

// publish hands a message to the peers; settled tells what became of it.
func (r *relay) publish(ctx context.Context, m carrier.Message, settled func(error)) {
	encoded := waku.Message{
		Payload:      m.Payload,
		ContentTopic: string(m.Topic),
		Version:      waku.VersionEnvelope,
		Timestamp:    m.Time,
		Meta:         []byte{}, // as deployed clients do
		Ephemeral:    m.Ephemeral,
		HasEphemeral: true,
	}
	data, err := encoded.Encode()
	if err != nil {
		settled(fmt.Errorf("%w: %w", carrier.ErrMessage, err))
		return
	}
	r.handOut(ctx, data, settled)
}

// published hands up a message that was published here: nobody sends it back.
func (r *relay) published(m carrier.Message) {
	if r.filter.wants(string(m.Topic)) {
		r.handUp(m)
	}
}
