package wakurelay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	blankhost "github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"github.com/rookery-im/rookery/transport/carrier"
)

// node is the libp2p host. It is put together from its parts, since the ready-made
// one brings along every transport and service there is.
type node struct {
	*blankhost.BlankHost
	swarm    *swarm.Swarm
	identify identify.IDService
	gate     *gate
	receipts *receipts
	patience time.Duration
	lookUp   lookUp
	closes   []func() error // in this order
}

// Memory and files that connections of peers may take together.
const (
	nodeMemory = 256 << 20
	nodeFiles  = 2048
)

func newNode(key crypto.PrivKey, o *settled) (*node, error) {
	n := &node{gate: newGate(o.peers, o.pace.banned), receipts: newReceipts(), patience: o.pace.patience, lookUp: o.lookUp}
	if err := n.build(key, o); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *node) build(key crypto.PrivKey, o *settled) error {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return fmt.Errorf("%w: node key: %w", carrier.ErrOptions, err)
	}
	if n.gate.known[id] != nil {
		return fmt.Errorf("%w: the peer %s is this one itself", carrier.ErrOptions, id)
	}
	peers, err := pstoremem.NewPeerstore()
	if err != nil {
		return fmt.Errorf("wakurelay: %w", err)
	}
	n.closes = append(n.closes, peers.Close)
	if err = errors.Join(peers.AddPrivKey(id, key), peers.AddPubKey(id, key.GetPublic())); err != nil {
		return fmt.Errorf("wakurelay: node key: %w", err)
	}
	resources, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits(o)), rcmgr.WithMetricsDisabled())
	if err != nil {
		return fmt.Errorf("wakurelay: %w", err)
	}
	n.closes = append(n.closes, resources.Close)
	bus := eventbus.NewBus()
	n.swarm, err = swarm.NewSwarm(id, peers, bus,
		swarm.WithConnectionGater(n.gate),
		swarm.WithMultiaddrResolver(noNames{}),
		swarm.WithResourceManager(resources),
		swarm.WithDialTimeout(o.pace.patience),
		// These would give up addresses that were configured.
		swarm.WithUDPBlackHoleSuccessCounter(nil),
		swarm.WithIPv6BlackHoleSuccessCounter(nil),
	)
	if err != nil {
		return fmt.Errorf("wakurelay: %w", err)
	}
	n.closes = append(n.closes, n.swarm.Close)
	if err = n.transport(key, resources); err != nil {
		return fmt.Errorf("wakurelay: %w", err)
	}
	if n.BlankHost = blankhost.NewBlankHost(n.swarm, blankhost.WithEventBus(bus)); n.BlankHost == nil {
		return errors.New("wakurelay: no host")
	}
	n.swarm.SetStreamHandler(n.accept)
	n.swarm.Notify(&network.NotifyBundle{DisconnectedF: n.forget})
	n.identify, err = identify.NewIDService(n, identify.UserAgent("rookery"), identify.WithTimeout(o.pace.patience),
		identify.DisableObservedAddrManager(), identify.DisableSignedPeerRecord())
	if err != nil {
		return fmt.Errorf("wakurelay: %w", err)
	}
	n.closes = append(n.closes, n.identify.Close)
	ping.NewPingService(n) // deployed peers leave those that do not answer
	return nil
}

// listen lets others in. All protocols have to be there: what is added later, peers
// may not get to know. They are not told at which addresses this one listens; those
// who are to know have dialed them.
func (n *node) listen(at multiaddr.Multiaddr) error {
	n.identify.Start()
	if err := n.swarm.Listen(at); err != nil {
		return fmt.Errorf("wakurelay: listen on %s: %w", at, err)
	}
	return nil
}

// transport is TCP with Noise and yamux, and nothing else.
func (n *node) transport(key crypto.PrivKey, resources network.ResourceManager) error {
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	security, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return err
	}
	upgrades, err := upgrader.New([]sec.SecureTransport{security}, muxers, nil, resources, n.gate)
	if err != nil {
		return err
	}
	overTCP, err := tcp.NewTCPTransport(upgrades, resources, nil, tcp.DisableReuseport(), tcp.WithConnectionTimeout(n.patience))
	if err != nil {
		return err
	}
	return n.swarm.AddTransport(overTCP)
}

// limits bound what strangers may take of this process.
func limits(o *settled) rcmgr.ConcreteLimitConfig {
	dialed := 2*len(o.peers) + 8
	return rcmgr.PartialLimitConfig{System: rcmgr.ResourceLimits{
		Conns:         rcmgr.LimitVal(o.MaxPeers + dialed),
		ConnsInbound:  rcmgr.LimitVal(o.MaxPeers),
		ConnsOutbound: rcmgr.LimitVal(dialed),
	}}.Build(rcmgr.DefaultLimits.Scale(nodeMemory, nodeFiles))
}

// NewStream opens a stream to a connected peer. Unlike the embedded method it does
// not dial, and does not wait forever for the other side.
func (n *node) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	s, err := n.swarm.NewStream(network.WithNoDial(ctx, "only configured peers are dialed"), p)
	if err != nil {
		return nil, err
	}
	chosen, err := n.negotiate(s, protocols)
	if err != nil {
		_ = s.Reset() // it is not used
		return nil, fmt.Errorf("wakurelay: peer %s: %w", p, err)
	}
	_ = n.Peerstore().AddProtocols(p, chosen) // a note, no more
	if chosen == relayProtocol {
		s = &outgoing{Stream: s, node: n}
	}
	return s, nil
}

func (n *node) negotiate(s network.Stream, protocols []protocol.ID) (protocol.ID, error) {
	if err := s.SetDeadline(time.Now().Add(n.patience)); err != nil {
		return "", err
	}
	chosen, err := multistream.SelectOneOf(protocols, s)
	if err != nil {
		return "", err
	}
	return chosen, errors.Join(s.SetProtocol(chosen), s.SetDeadline(time.Time{}))
}

// accept takes a stream of another peer. Unlike that of the embedded host it does not
// wait forever, and watches streams of the relay protocol.
func (n *node) accept(s network.Stream) {
	if s.SetDeadline(time.Now().Add(n.patience)) != nil {
		_ = s.Reset()
		return
	}
	chosen, handle, err := n.Mux().Negotiate(s)
	if err != nil || errors.Join(s.SetProtocol(chosen), s.SetDeadline(time.Time{})) != nil {
		_ = s.Reset()
		return
	}
	w := &watched{Stream: s}
	_ = handle(chosen, w) // handlers of streams end them themselves
	if chosen == relayProtocol && w.isFaulty() {
		n.shutOut(s.Conn().RemotePeer())
	}
}

// shutOut disconnects a peer that misbehaves, and bans it for a while.
func (n *node) shutOut(p peer.ID) {
	n.gate.ban(p)
	n.disconnect(p)
}

func (n *node) isConnected(p peer.ID) bool {
	return n.swarm.Connectedness(p) == network.Connected
}

func (n *node) disconnect(p peer.ID) {
	_ = n.swarm.ClosePeer(p) // one that is gone is as good
}

// forget drops what is known of a peer that is gone: nobody else does.
func (n *node) forget(_ network.Network, c network.Conn) {
	p := c.RemotePeer()
	if n.swarm.Connectedness(p) == network.NotConnected && n.gate.known[p] == nil {
		n.Peerstore().RemovePeer(p)
		n.Peerstore().ClearAddrs(p)
	}
}

// dial connects to a configured peer, if it is not connected.
func (n *node) dial(ctx context.Context, p peer.AddrInfo) error {
	addresses, err := n.reach(ctx, p.Addrs)
	if err != nil {
		return err
	}
	n.gate.allow(p.ID, addresses)
	n.Peerstore().ClearAddrs(p.ID) // a name has had others before
	n.Peerstore().AddAddrs(p.ID, addresses, peerstore.PermanentAddrTTL)
	n.swarm.Backoff().Clear(p.ID) // who calls has its own
	_, err = n.swarm.DialPeer(ctx, p.ID)
	return err
}

// Close ends the node and what belongs to it, the last part first.
func (n *node) Close() error {
	var all []error
	for i := len(n.closes) - 1; i >= 0; i-- {
		all = append(all, n.closes[i]())
	}
	n.closes = nil
	return errors.Join(all...)
}
