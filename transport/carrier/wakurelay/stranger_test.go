package wakurelay

import (
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport/carrier"
)

// stranger is a peer that does what a test makes it do, and nothing of itself: it
// knows how to connect, takes what is written to it, and answers for metadata.
type stranger struct {
	*node
	t      testing.TB
	at     multiaddr.Multiaddr
	to     peer.ID
	relay  network.Stream
	answer func(network.Stream) // for metadata, nil for those of the default cluster
}

// befriend connects a stranger with a carrier.
func befriend(t testing.TB, c *Carrier) *stranger {
	t.Helper()
	s := newStranger(t, Options{Listen: nextIP().String() + ":0", Peers: c.Addresses()})
	s.meet(c)
	return s
}

func newStranger(t testing.TB, o Options) *stranger {
	t.Helper()
	o.pace = quick
	settled, err := o.settle()
	if err != nil {
		t.Fatal(err)
	}
	key, err := o.Key.private()
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNode(key, settled)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &stranger{node: n, t: t, at: settled.listen}
	n.SetStreamHandler(relayProtocol, func(s network.Stream) { _, _ = io.Copy(io.Discard, s) })
	own := newIntroducer(n, settled)
	n.SetStreamHandler(metadataProtocol, func(in network.Stream) {
		if s.answer != nil {
			s.answer(in)
			return
		}
		own.answer(in)
	})
	return s
}

// meet connects it with a carrier, which it has among its peers.
func (s *stranger) meet(c *Carrier) {
	s.t.Helper()
	s.start()
	s.to = c.node.ID()
	if err := s.dial(context.Background(), reach(s.t, c)); err != nil {
		s.t.Fatal(err)
	}
}

// start lets others in.
func (s *stranger) start() {
	s.t.Helper()
	if err := s.listen(s.at); err != nil {
		s.t.Fatal(err)
	}
}

// reach is a carrier as those know it that dial it.
func reach(t testing.TB, c *Carrier) peer.AddrInfo {
	t.Helper()
	peers, err := peersOf(c.Addresses())
	if err != nil {
		t.Fatal(err)
	}
	return peers[0]
}

// send writes to the relay stream, which it opens if there is none.
func (s *stranger) send(b []byte) {
	s.t.Helper()
	if s.relay == nil {
		var err error
		if s.relay, err = s.NewStream(context.Background(), s.to, relayProtocol); err != nil {
			s.t.Fatal(err)
		}
	}
	_, _ = s.relay.Write(b) // the other side may have had enough
}

// frame is a frame of the relay protocol.
func frame(t testing.TB, rpc *pb.RPC) []byte {
	t.Helper()
	b, err := rpc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

// published is a frame that takes part in the default shard and has messages on it.
func published(t testing.TB, messages ...[]byte) []byte {
	t.Helper()
	topic, subscribe := "/waku/2/rs/16/32", true
	rpc := &pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Topicid: &topic, Subscribe: &subscribe}}}
	for _, m := range messages {
		rpc.Publish = append(rpc.Publish, &pb.Message{Data: m, Topic: &topic})
	}
	return frame(t, rpc)
}

func encoded(t testing.TB, m waku.Message) []byte {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// atMost is how long something that has to happen may take.
const atMost = time.Minute

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(atMost); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", atMost, what)
		}
	}
}

// never holds that something does not happen for a while.
func never(t testing.TB, what string, happens func() bool) {
	t.Helper()
	for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if happens() {
			t.Fatal(what)
		}
	}
}

func (s *stranger) isConnected() bool {
	return s.swarm.Connectedness(s.to) == network.Connected
}

// isOut tells whether a carrier has shut it out.
func (s *stranger) isOut(c *Carrier) bool { return !s.isConnected() && c.node.gate.isBanned(s.ID()) }

// taker takes what a carrier hands up.
type taker struct {
	messages chan carrier.Received
	gaps     chan int64
}

func newTaker() *taker { return &taker{make(chan carrier.Received, 1000), make(chan int64, 100)} }

func (k *taker) Deliver(r carrier.Received) { k.messages <- r }
func (k *taker) Gap(since int64)            { k.gaps <- since }

func (k *taker) next(t testing.TB) carrier.Received {
	t.Helper()
	select {
	case r := <-k.messages:
		return r
	case <-time.After(atMost):
		t.Fatalf("no message within %s", atMost)
		return carrier.Received{}
	}
}

const topic carrier.Topic = "/rookery/1/test/proto"

// listening is a carrier that delivers the test's topic.
func listening(t testing.TB, o Options) (*Carrier, *taker) {
	t.Helper()
	if o.Listen == "" {
		o.Listen = nextIP().String() + ":0"
	}
	c, k := open(t, o), newTaker()
	c.Receive(k)
	if err := c.Subscribe(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	return c, k
}

// say publishes a message and gives the result.
func say(t testing.TB, c *Carrier, m carrier.Message) error {
	t.Helper()
	result := make(chan error, 1)
	c.Publish(m, func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-time.After(atMost):
		t.Fatalf("no result within %s", atMost)
		return nil
	}
}

func message(text string) carrier.Message {
	return carrier.Message{Topic: topic, Payload: []byte(text), Time: time.Now().UnixNano()}
}

// reachStranger is a stranger as those know it that dial it.
func reachStranger(s *stranger) peer.AddrInfo { return peer.AddrInfo{ID: s.ID(), Addrs: s.Addrs()} }

// nextWay is a stranger at an address where nobody is.
func nextWay(s *stranger) string {
	return "/ip4/" + nextIP().String() + "/tcp/1/p2p/" + s.ID().String()
}
