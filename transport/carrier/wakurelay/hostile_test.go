package wakurelay

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"

	"github.com/rookery-im/rookery/proto/waku"
)

// TestWhatIsNoFrameShutsOut holds that a peer which does not speak the protocol is
// disconnected and banned for a while.
func TestWhatIsNoFrameShutsOut(t *testing.T) {
	for name, garbage := range map[string][]byte{
		"no protobuf":             append([]byte{9}, bytes.Repeat([]byte{0xff}, 9)...),
		"field without its bytes": {3, 0x12, 0x7f, 0x00},
		"longer than any frame":   binary.AppendUvarint(nil, mostFrame+1),
		"longer than memory":      binary.AppendUvarint(nil, 1<<62),
		"endless length":          bytes.Repeat([]byte{0xff}, 64),
	} {
		t.Run(name, func(t *testing.T) {
			c, k := listening(t, Options{})
			other := befriend(t, c)
			other.send(published(t))
			s := befriend(t, c)
			s.send(garbage)
			eventually(t, "the peer is shut out", func() bool { return s.isOut(c) })
			if err := s.dial(context.Background(), reach(t, c)); err == nil {
				eventually(t, "who is banned does not get in", func() bool { return !s.isConnected() })
			}
			other.send(published(t, encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("good"), Timestamp: 1})))
			if got := k.next(t); string(got.Payload) != "good" || !other.isConnected() {
				t.Errorf("got %q", got.Payload)
			}
		})
	}
}

// TestEndOfAStreamIsNoFault holds that who ends a stream, or opens another one, stays.
func TestEndOfAStreamIsNoFault(t *testing.T) {
	c, k := listening(t, Options{})
	s := befriend(t, c)
	for i, end := range []func(network.Stream) error{network.Stream.Close, network.Stream.Reset, func(network.Stream) error { return nil }, network.Stream.CloseWrite} {
		text := fmt.Appendf(nil, "message %d", i)
		s.send(published(t, encoded(t, waku.Message{ContentTopic: string(topic), Payload: text, Timestamp: 1})))
		if got := k.next(t); !bytes.Equal(got.Payload, text) {
			t.Errorf("got %q, want %q", got.Payload, text)
		}
		_ = end(s.relay)
		s.relay = nil
	}
	never(t, "a peer that ends streams is shut out", func() bool { return !s.isConnected() })
}

// TestSenderOfInvalidMessagesIsShutOut holds that a peer is disconnected which sends
// what nobody takes for a message, again and again, and does not listen itself.
func TestSenderOfInvalidMessagesIsShutOut(t *testing.T) {
	c, k := listening(t, Options{})
	s := befriend(t, c)
	var all [][]byte
	for i := range mostInvalid {
		all = append(all, []byte{0x0a, 0x7f, byte(i)})
	}
	s.send(published(t, all[:1]...))
	never(t, "a peer is shut out for one message", func() bool { return !s.isConnected() })
	s.send(published(t, all[1:]...))
	eventually(t, "the peer is shut out", func() bool { return s.isOut(c) })
	if len(k.messages) > 0 {
		t.Error("what is no message was delivered")
	}
}

// TestWhatOthersMayTakeIsNoFault holds that messages which some peers relay and we do
// not want never speak against who passes them on: an attacker could turn us against
// everybody.
func TestWhatOthersMayTakeIsNoFault(t *testing.T) {
	c, k := listening(t, Options{})
	s := befriend(t, c)
	s.send(published(t))
	eventually(t, "the peer takes part", func() bool { return c.relay.meshes.knows(s.ID()) })
	good := encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("good"), Timestamp: 1})
	var odd [][]byte
	for i := range 20 {
		mark := fmt.Appendf(nil, "%d", i)
		odd = append(odd,
			append(slices.Clone(good), good...), // fields twice
			encoded(t, waku.Message{ContentTopic: string(topic), Meta: mark}),
			encoded(t, waku.Message{Payload: mark}),
			append(slices.Clone(good), 0x0b, 0x0c), // a group
			append(make([]byte, deployedMost), byte(i)),
		)
		good = append(good, 0xa0, 0x06, byte(i)) // an unknown field
	}
	for part := range slices.Chunk(odd, 5) {
		s.send(published(t, part...))
	}
	last := encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("last"), Timestamp: 1})
	s.send(published(t, last))
	if got := k.next(t); string(got.Payload) != "last" {
		t.Errorf("got %q", got.Payload)
	}
	never(t, "a peer that passes on what is odd is shut out", func() bool { return !s.isConnected() })
}

// TestMessagesWithAnAuthorAreNotTaken holds StrictNoSign: who signs or numbers a
// message would be known by it.
func TestMessagesWithAnAuthorAreNotTaken(t *testing.T) {
	c, k := listening(t, Options{})
	s := befriend(t, c)
	shard, subscribe := "/waku/2/rs/16/32", true
	data := encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("bad"), Timestamp: 1})
	s.send(frame(t, &pb.RPC{
		Subscriptions: []*pb.RPC_SubOpts{{Topicid: &shard, Subscribe: &subscribe}},
		Publish: []*pb.Message{
			{Data: data, Topic: &shard, From: []byte(s.ID())},
			{Data: data, Topic: &shard, Seqno: []byte{1}},
			{Data: data, Topic: &shard, Signature: []byte{1}},
			{Data: data, Topic: &shard, Key: []byte{1}},
		},
	}))
	s.send(published(t, encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("good"), Timestamp: 1})))
	if got := k.next(t); string(got.Payload) != "good" {
		t.Errorf("got %q", got.Payload)
	}
}

// TestForeignTopicsAreNotTaken holds that messages of other pubsub topics go nowhere,
// and that a peer cannot make us keep its topics.
func TestForeignTopicsAreNotTaken(t *testing.T) {
	c, k := listening(t, Options{})
	s := befriend(t, c)
	foreign, subscribe := "/waku/2/rs/16/33", true
	rpc := &pb.RPC{Publish: []*pb.Message{{
		Data:  encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("bad"), Timestamp: 1}),
		Topic: &foreign,
	}}}
	for i := range mostMetadataShards {
		name := fmt.Sprintf("/waku/2/rs/16/%d", 1000+i)
		rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: &name, Subscribe: &subscribe})
	}
	s.send(frame(t, rpc))
	s.send(published(t, encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("good"), Timestamp: 1})))
	if got := k.next(t); string(got.Payload) != "good" {
		t.Errorf("got %q", got.Payload)
	}
	if n := len(c.relay.meshes.shards); n != 1 {
		t.Errorf("%d shards are kept", n)
	}
}

// TestMessagesOutOfBoundsAreNotDelivered holds that a receiver gets only what the port
// promises, whatever the network carries.
func TestMessagesOutOfBoundsAreNotDelivered(t *testing.T) {
	c, k := listening(t, Options{})
	s := befriend(t, c)
	s.send(published(t,
		encoded(t, waku.Message{ContentTopic: string(topic), Payload: make([]byte, 149_500), Timestamp: 1}),
		encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("no time")}),
		encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("before the epoch"), Timestamp: -1}),
		encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("good"), Timestamp: 1}),
	))
	if got := k.next(t); string(got.Payload) != "good" {
		t.Errorf("got %d bytes", len(got.Payload))
	}
}

// TestMaxPeersBoundsStrangers holds that others cannot take all connections there are.
func TestMaxPeersBoundsStrangers(t *testing.T) {
	const most = 3
	c, _ := listening(t, Options{MaxPeers: most})
	in := 0
	for range 2 * most {
		s := newStranger(t, Options{Listen: nextIP().String() + ":0", Peers: c.Addresses()})
		s.to = c.node.ID()
		if s.dial(context.Background(), reach(t, c)) == nil {
			in++
		}
	}
	eventually(t, "no more than allowed are in", func() bool { return len(c.node.swarm.Conns()) <= most })
	if in < most {
		t.Errorf("%d got in, want %d", in, most)
	}
}

// TestLieAboutAKeyChangesNothing holds that a peer is who it has proven to be, whatever
// it says later. libp2p would write about it.
func TestLieAboutAKeyChangesNothing(t *testing.T) {
	c, k := listening(t, Options{})
	s := befriend(t, c)
	key, err := crypto.MarshalPublicKey(c.node.Peerstore().PubKey(c.node.ID()))
	if err != nil {
		t.Fatal(err)
	}
	push, err := s.NewStream(t.Context(), s.to, identify.IDPush)
	if err != nil {
		t.Fatal(err)
	}
	lie := append([]byte{0x0a, byte(len(key))}, key...) // the field of the key
	if _, err := push.Write(append([]byte{byte(len(lie))}, lie...)); err != nil {
		t.Fatal(err)
	}
	if err := push.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(push) // until it is dealt with
	if own := c.node.Peerstore().PubKey(s.ID()); own == nil || !s.ID().MatchesPublicKey(own) {
		t.Errorf("the key of the peer is %v", own)
	}
	s.send(published(t, encoded(t, waku.Message{ContentTopic: string(topic), Payload: []byte("good"), Timestamp: 1})))
	k.next(t)
}

// TestWhoTakesRoomForNothingIsDisconnected holds that connections are for those who
// relay.
func TestWhoTakesRoomForNothingIsDisconnected(t *testing.T) {
	hasty := quick
	hasty.uselessFor = 200 * time.Millisecond
	c, _ := listening(t, Options{pace: hasty})
	takesPart := newStranger(t, Options{Listen: nextIP().String() + ":0", Peers: c.Addresses()})
	// The time begins when it has introduced itself, which waits for what it has to say.
	known, own := make(chan struct{}), newIntroducer(takesPart.node, c.options)
	takesPart.answer = func(in network.Stream) {
		<-known
		own.answer(in)
	}
	takesPart.meet(c)
	takesPart.send(published(t))
	eventually(t, "who takes part is known", func() bool { return c.relay.meshes.knows(takesPart.ID()) })
	close(known)
	idle := befriend(t, c)
	eventually(t, "who does nothing is disconnected", func() bool { return !idle.isConnected() })
	if idle.isOut(c) {
		t.Error("who does nothing is banned")
	}
	never(t, "who takes part is disconnected", func() bool { return !takesPart.isConnected() })
}

// TestNothingIsLogged holds that libp2p writes nothing, whatever peers do. It runs
// tests of hostile peers in a process of its own.
func TestNothingIsLogged(t *testing.T) {
	if os.Getenv("GOLOG_LOG_LEVEL") != "" {
		t.Fatal("GOLOG_LOG_LEVEL is set: libp2p logs what it says")
	}
	const tests = "TestLieAboutAKeyChangesNothing|TestWhatIsNoFrameShutsOut|TestSenderOfInvalidMessagesIsShutOut|TestForeignClusterIsDisconnected|TestPeersFindEachOtherAgain"
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^("+tests+")$", "-test.timeout", "8m")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if said.Len() > 0 {
		t.Errorf("written to standard error:\n%s", said.String())
	}
}
