package standin

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// Network is several nodes that are connected with each other. It is safe for
// concurrent use, and so are its nodes.
type Network struct {
	mu    sync.Mutex
	nodes []*Node
}

// NewNetwork makes a network without nodes.
func NewNetwork() *Network { return new(Network) }

// message is a WakuMessage; nil is what is absent.
type message struct {
	pubsub    string
	payload   []byte
	topic     string
	version   *uint32
	timestamp *int64
	meta      []byte
	ephemeral *bool

	size   int      // of the protobuf
	gossip [32]byte // what gossip knows it by
	hash   [32]byte // of 14/WAKU2-MESSAGE
	digest [32]byte // of the first version of the store
}

// finish computes what is derived.
func (m *message) finish() *message {
	wire := m.protobuf()
	m.size, m.gossip = len(wire), sha256.Sum256(wire)
	h := sha256.New()
	h.Write([]byte(m.pubsub))
	h.Write(m.payload)
	h.Write([]byte(m.topic))
	h.Write(m.meta)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(m.time()))) //nolint:gosec // all 64 bits
	m.hash = [32]byte(h.Sum(nil))
	m.digest = sha256.Sum256(append([]byte(m.topic), m.payload...))
	return m
}

func (m *message) time() int64 {
	if m.timestamp == nil {
		return 0
	}
	return *m.timestamp
}

func (m *message) isEphemeral() bool { return m.ephemeral != nil && *m.ephemeral }

func (m *message) protobuf() []byte {
	field := func(to []byte, number uint64, value []byte) []byte {
		to = binary.AppendUvarint(to, number<<3|2)
		to = binary.AppendUvarint(to, uint64(len(value)))
		return append(to, value...)
	}
	wire := field(nil, 1, m.payload)
	wire = field(wire, 2, []byte(m.topic))
	if m.version != nil {
		wire = binary.AppendUvarint(append(wire, 3<<3), uint64(*m.version))
	}
	if m.timestamp != nil {
		wire = binary.AppendVarint(append(wire, 10<<3), *m.timestamp) // zigzag
	}
	if m.meta != nil {
		wire = field(wire, 11, m.meta)
	}
	if m.ephemeral != nil {
		wire = binary.AppendUvarint(wire, 31<<3)
		if wire = append(wire, 0); *m.ephemeral {
			wire[len(wire)-1] = 1
		}
	}
	return wire
}

// spread gives a message to all nodes that relay its shard.
func (net *Network) spread(m *message) {
	for _, n := range net.nodes {
		if n.relays(m.pubsub) {
			n.arrive(m)
		}
	}
}

// relaying tells how many nodes relay a shard, besides one.
func (net *Network) relaying(pubsub string, besides *Node) (count int, first *Node) {
	for _, n := range net.nodes {
		if n != besides && n.relays(pubsub) {
			if count++; first == nil {
				first = n
			}
		}
	}
	return count, first
}

// withStore finds a node that answers questions about history: that of an address,
// or one of a flavour.
func (net *Network) withStore(address string, flavour Flavour, besides *Node) *Node {
	for _, n := range net.nodes {
		switch {
		case n == besides || n.o.NoStore:
		case address != "" && n.o.Address == address, address == "" && n.o.Flavour == flavour:
			return n
		}
	}
	return nil
}

// Message is one that somebody else publishes, or has published long ago.
type Message struct {
	PubsubTopic, ContentTopic string
	Payload                   []byte
	Time                      int64 // ns since the epoch
}

func (m *Message) message() *message {
	version, at := uint32(1), m.Time
	return (&message{pubsub: m.PubsubTopic, topic: m.ContentTopic, payload: m.Payload, version: &version, timestamp: &at}).finish()
}

// Keep puts messages into the store of a node.
func (n *Node) Keep(messages ...Message) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	for _, m := range messages {
		n.archive.put(m.message(), time.Unix(0, m.Time))
	}
}

// Send gives messages to all nodes that relay their shard, before anybody can read.
func (net *Network) Send(messages ...Message) {
	net.mu.Lock()
	defer net.mu.Unlock()
	for _, m := range messages {
		net.spread(m.message())
	}
}
