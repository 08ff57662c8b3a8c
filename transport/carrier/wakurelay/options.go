package wakurelay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/rookery-im/rookery/transport/carrier"
)

// DefaultCluster and DefaultShard are where deployed clients are: pubsub topic
// /waku/2/rs/16/32.
const (
	DefaultCluster uint16 = 16
	DefaultShard   uint16 = 32
)

// History is where the messages of the past are asked for, as carrier.Carrier's
// method says; carrier/wakurest is one.
type History interface {
	History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error
}

// Options say who the peer is and whom it knows. The zero value is a peer that waits
// on loopback for others.
type Options struct {
	// Cluster is the network, DefaultCluster if 0. Peers of another one are
	// disconnected.
	Cluster uint16
	// Shards are those that are relayed, DefaultShard if empty. The first is
	// published to.
	Shards []uint16

	// Listen is the IP address and port to listen on, "127.0.0.1:0" if empty. Port 0
	// is any that is free.
	Listen string
	// Peers are those to stay connected with, as multiaddrs of the form
	// /ip4/127.0.0.1/tcp/60000/p2p/16Uiu2.... With a name, as in
	// /dns4/node.example.org/tcp/60000/p2p/16Uiu2... (dns4, dns6 or dns), that name is
	// looked up each time the peer is dialed.
	Peers []string
	// Key is who the peer is; a new one if it is the zero value.
	Key NodeKey

	// MinPeers is how many peers have to be handed a message for it to count as
	// published, and have to be in the mesh of each shard for Health to be Ready;
	// 1 if 0.
	MinPeers int
	// MaxPeers is how many others may connect to this peer, 64 if 0. Those of Peers
	// have room of their own.
	MaxPeers int
	// MaxMessage is how long an encoded message may be, in bytes; 153,600 if 0, the
	// most that deployed nodes take. Longer ones go no further.
	MaxMessage int
	// Outgoing is how many messages wait to be published before Publish says that the
	// network is busy, 256 if 0.
	Outgoing int
	// Incoming is how many messages, and IncomingBytes how many bytes of payload, wait
	// for a Receiver that has no room; what comes then is dropped, and told with Gap
	// once there is room again. 4096 and 8 MiB if 0.
	Incoming, IncomingBytes int

	// History is asked by Carrier.History; without it there is none.
	History History

	pace   pace
	lookUp lookUp // names, net.DefaultResolver's if nil
}

// pace is how fast things go. It is the same everywhere but in tests.
type pace struct {
	heartbeat              time.Duration // of the mesh
	firstRetry, lastRetry  time.Duration // of connections
	patience               time.Duration // with a peer that has to answer
	banned                 time.Duration
	uselessFor, scoreEvery time.Duration
}

var deployedPace = pace{
	heartbeat:  time.Second,
	firstRetry: time.Second,
	lastRetry:  2 * time.Minute,
	patience:   10 * time.Second,
	banned:     5 * time.Minute,
	uselessFor: time.Minute,
	scoreEvery: 6 * time.Second,
}

// Bounds of options, so that a slip is noticed.
const (
	mostShards    = 128
	mostPeers     = 1024
	mostWaiting   = 1 << 20
	leastMessage  = carrier.MaxPayload + 1000 // what Publish takes has to fit
	deployedMost  = 153_600
	mostFrame     = 1 << 20 // what deployed peers send in one piece
	mostBytes     = 1 << 30
	defaultListen = "127.0.0.1:0"
)

// settled is what a carrier runs with.
type settled struct {
	Options
	topics []string // pubsub topics, the first is published to
	listen multiaddr.Multiaddr
	peers  []peer.AddrInfo
}

func (o Options) settle() (*settled, error) {
	s := &settled{Options: o}
	if s.Cluster == 0 {
		s.Cluster = DefaultCluster
	}
	if len(s.Shards) == 0 {
		s.Shards = []uint16{DefaultShard}
	}
	if len(s.Shards) > mostShards {
		return nil, fmt.Errorf("%w: %d shards", carrier.ErrOptions, len(s.Shards))
	}
	for i, shard := range s.Shards {
		if slices.Contains(s.Shards[:i], shard) {
			return nil, fmt.Errorf("%w: shard %d is there twice", carrier.ErrOptions, shard)
		}
		s.topics = append(s.topics, fmt.Sprintf("/waku/2/rs/%d/%d", s.Cluster, shard))
	}
	for _, number := range []struct {
		name                string
		value               *int
		fallback, low, high int
	}{
		{"MinPeers", &s.MinPeers, 1, 1, mostPeers},
		{"MaxPeers", &s.MaxPeers, 64, 1, mostPeers},
		{"MaxMessage", &s.MaxMessage, deployedMost, leastMessage, mostFrame - 1000},
		{"Outgoing", &s.Outgoing, 256, 1, mostWaiting},
		{"Incoming", &s.Incoming, 4096, 1, mostWaiting},
		{"IncomingBytes", &s.IncomingBytes, 8 << 20, mostFrame, mostBytes},
	} {
		if *number.value == 0 {
			*number.value = number.fallback
		}
		if *number.value < number.low || *number.value > number.high {
			return nil, fmt.Errorf("%w: %s of %d", carrier.ErrOptions, number.name, *number.value)
		}
	}
	if s.pace == (pace{}) {
		s.pace = deployedPace
	}
	if s.lookUp == nil {
		s.lookUp = net.DefaultResolver.LookupNetIP
	}
	var err error
	if s.listen, err = listenAddress(o.Listen); err != nil {
		return nil, err
	}
	s.peers, err = peersOf(o.Peers)
	return s, err
}

func listenAddress(address string) (multiaddr.Multiaddr, error) {
	if address == "" {
		address = defaultListen
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr().Zone() != "" {
		return nil, fmt.Errorf("%w: Listen %q is not an IP address and port", carrier.ErrOptions, address)
	}
	family := "ip4"
	if at.Addr().Is6() {
		family = "ip6"
	}
	return multiaddr.NewMultiaddr(fmt.Sprintf("/%s/%s/tcp/%d", family, at.Addr(), at.Port()))
}

// peersOf reads the addresses of peers; those of one peer are put together.
func peersOf(addresses []string) ([]peer.AddrInfo, error) {
	if len(addresses) > mostPeers {
		return nil, fmt.Errorf("%w: %d peers", carrier.ErrOptions, len(addresses))
	}
	var peers []peer.AddrInfo
	for _, text := range addresses {
		address, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%w: peer %q: %w", carrier.ErrOptions, text, err)
		}
		if !isPlain(address) {
			return nil, fmt.Errorf("%w: peer %q is not an IP address or name, a TCP port and an identity", carrier.ErrOptions, text)
		}
		info, err := peer.AddrInfoFromP2pAddr(address)
		if err != nil {
			return nil, fmt.Errorf("%w: peer %q: %w", carrier.ErrOptions, text, err)
		}
		i := slices.IndexFunc(peers, func(other peer.AddrInfo) bool { return other.ID == info.ID })
		if i < 0 {
			peers = append(peers, *info)
		} else {
			peers[i].Addrs = append(peers[i].Addrs, info.Addrs...)
		}
	}
	return peers, nil
}

// isPlain: an IP address or a name, a TCP port and a peer.
func isPlain(address multiaddr.Multiaddr) bool {
	var codes []int
	for _, protocol := range address.Protocols() {
		codes = append(codes, protocol.Code)
	}
	return len(codes) == 3 && codes[1] == multiaddr.P_TCP && codes[2] == multiaddr.P_P2P &&
		(codes[0] == multiaddr.P_IP4 || codes[0] == multiaddr.P_IP6 || kindOfName(address) != 0)
}
