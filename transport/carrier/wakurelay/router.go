package wakurelay

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rookery-im/rookery/proto/waku"
)

// relayProtocol is gossipsub under the name of 11/WAKU2-RELAY.
const relayProtocol protocol.ID = "/vac/waku/relay/2.0.0"

// Sizes of queues inside the router, in messages.
const (
	validating = 512 // what one frame brings has to fit
	outbound   = 256 // for each peer
)

// seenFor is how long a message is known, so that it is relayed once.
const seenFor = 2 * time.Minute

// graylisted is the score below which a peer is not listened to any more; it is
// disconnected.
const graylisted = -10_000

// newRouter starts gossipsub with the parameters of deployed peers. It ends with ctx.
func newRouter(ctx context.Context, n *node, o *settled, trace *tracer, inspect func(peer.ID, *pubsub.RPC) error) (*pubsub.PubSub, error) {
	quiet := slog.New(slog.DiscardHandler)
	filter := pubsub.WrapLimitSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(o.topics...), mostMetadataShards)
	router, err := pubsub.NewGossipSub(ctx, n,
		pubsub.WithGossipSubProtocols([]protocol.ID{relayProtocol}, hasFeature),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(gossipID),
		pubsub.WithGossipSubParams(gossip(o.pace.heartbeat)),
		pubsub.WithFloodPublish(true),
		pubsub.WithSeenMessagesTTL(seenFor),
		pubsub.WithPeerScore(scores(o), thresholds),
		pubsub.WithPeerScoreInspect(n.shutOutHostile, o.pace.scoreEvery),
		pubsub.WithSubscriptionFilter(filter),
		pubsub.WithMaxMessageSize(mostFrame),
		pubsub.WithValidateQueueSize(validating),
		pubsub.WithPeerOutboundQueueSize(outbound),
		pubsub.WithAppSpecificRpcInspector(inspect),
		pubsub.WithRawTracer(trace),
		pubsub.WithLogger(quiet),
		pubsub.WithRPCLogger(quiet),
	)
	if err != nil {
		return nil, fmt.Errorf("wakurelay: %w", err)
	}
	return router, nil
}

// join takes part in a shard. Every message of it goes through validate.
func join(router *pubsub.PubSub, name string, validate pubsub.ValidatorEx) (*pubsub.Topic, error) {
	if err := router.RegisterTopicValidator(name, validate, pubsub.WithValidatorInline(true)); err != nil {
		return nil, fmt.Errorf("wakurelay: %w", err)
	}
	topic, err := router.Join(name)
	if err != nil {
		return nil, fmt.Errorf("wakurelay: %w", err)
	}
	if err := topic.SetScoreParams(topicScores()); err != nil {
		return nil, fmt.Errorf("wakurelay: %w", err)
	}
	if _, err := topic.Relay(); err != nil {
		return nil, fmt.Errorf("wakurelay: %w", err)
	}
	return topic, nil
}

func gossipID(m *pb.Message) string {
	id := waku.GossipID(m.GetData())
	return string(id[:])
}

// hasFeature is what deployed peers make of their protocol: a mesh, and backoff times
// that go with "peer exchange", which itself is off.
func hasFeature(feature pubsub.GossipSubFeature, p protocol.ID) bool {
	return p == relayProtocol && (feature == pubsub.GossipSubFeatureMesh || feature == pubsub.GossipSubFeaturePX)
}

func gossip(heartbeat time.Duration) pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.D, p.Dlo, p.Dhi, p.Dout, p.Dlazy = 6, 4, 8, 2, 6
	p.HistoryLength, p.HistoryGossip = 6, 3
	p.UnsubscribeBackoff = 5 * time.Second
	p.HeartbeatInterval, p.HeartbeatInitialDelay = heartbeat, heartbeat/10
	p.Connectors = 0 // nobody is dialed because others name them
	return p
}

var thresholds = &pubsub.PeerScoreThresholds{
	GossipThreshold:   -100,
	PublishThreshold:  -1000,
	GraylistThreshold: graylisted,
	AcceptPXThreshold: math.MaxFloat64, // never
}

func scores(o *settled) *pubsub.PeerScoreParams {
	return &pubsub.PeerScoreParams{
		Topics:                      make(map[string]*pubsub.TopicScoreParams),
		DecayInterval:               12 * time.Second,
		DecayToZero:                 0.01,
		RetainScore:                 10 * time.Minute,
		AppSpecificScore:            func(peer.ID) float64 { return 0 },
		IPColocationFactorWeight:    -50,
		IPColocationFactorThreshold: 5,
		IPColocationFactorWhitelist: trusted(o),
		BehaviourPenaltyWeight:      -10,
		BehaviourPenaltyDecay:       0.986,
	}
}

// trusted is where several peers at one address are nothing bad: where configured ones
// are, which strangers there must not bring down with them. Loopback counts nowhere.
func trusted(o *settled) []*net.IPNet {
	var nets []*net.IPNet
	for _, p := range o.peers {
		for _, address := range p.Addrs {
			ip, err := manet.ToIP(address)
			if err != nil {
				continue // a name
			}
			mask := net.CIDRMask(64, 128) // which the router counts, too
			if v4 := ip.To4(); v4 != nil {
				ip, mask = v4, net.CIDRMask(32, 32)
			}
			nets = append(nets, &net.IPNet{IP: ip.Mask(mask), Mask: mask})
		}
	}
	return nets
}

func topicScores() *pubsub.TopicScoreParams {
	return &pubsub.TopicScoreParams{
		TopicWeight:                    1,
		TimeInMeshWeight:               0.01,
		TimeInMeshQuantum:              time.Second,
		TimeInMeshCap:                  10,
		FirstMessageDeliveriesWeight:   1,
		FirstMessageDeliveriesDecay:    0.5,
		FirstMessageDeliveriesCap:      10,
		InvalidMessageDeliveriesWeight: -100,
		InvalidMessageDeliveriesDecay:  0.5,
	}
}

// shutOutHostile disconnects those whose score says that they are up to no good.
func (n *node) shutOutHostile(scores map[peer.ID]float64) {
	for p, score := range scores {
		if score < graylisted {
			n.shutOut(p)
		}
	}
}
