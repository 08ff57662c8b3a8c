package wakurelay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// gate decides which connections there may be: out only to addresses that were
// configured, or whose names were, whatever else peers say of themselves or others, and none at all with
// who has misbehaved lately.
type gate struct {
	known  map[peer.ID][]multiaddr.Multiaddr // never changed
	banned time.Duration

	mu    sync.Mutex
	until map[peer.ID]time.Time
	named map[peer.ID][]multiaddr.Multiaddr // what the names of a known peer stand for now
}

// mostBanned bounds memory: identities cost nothing.
const mostBanned = 1024

func newGate(peers []peer.AddrInfo, banned time.Duration) *gate {
	g := &gate{known: make(map[peer.ID][]multiaddr.Multiaddr), banned: banned, until: make(map[peer.ID]time.Time), named: make(map[peer.ID][]multiaddr.Multiaddr)}
	for _, p := range peers {
		g.known[p.ID] = p.Addrs
	}
	return g
}

// ban shuts a peer out for a while. The caller disconnects it.
func (g *gate) ban(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if len(g.until) >= mostBanned {
		for other, until := range g.until {
			if now.After(until) || len(g.until) >= mostBanned {
				delete(g.until, other)
			}
		}
	}
	g.until[p] = now.Add(g.banned)
}

func (g *gate) isBanned(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.until[p]
	if ok && time.Now().After(until) {
		delete(g.until, p)
		ok = false
	}
	return ok
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.known[p] != nil && !g.isBanned(p) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gate) InterceptAddrDial(p peer.ID, address multiaddr.Multiaddr) bool {
	if slices.ContainsFunc(g.known[p], address.Equal) {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.named[p], address.Equal)
}

// allow takes what the names of a configured peer stand for, in place of what they did
// before.
func (g *gate) allow(p peer.ID, addresses []multiaddr.Multiaddr) {
	if g.known[p] == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.named[p] = addresses
}

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gate) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return !g.isBanned(p)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// noNames refuses to look up names, which peers may put among their addresses: those
// that were configured are looked up elsewhere.
type noNames struct{}

var errName = errors.New("wakurelay: names are not looked up")

// ResolveDNSAddr implements network.MultiaddrDNSResolver.
func (noNames) ResolveDNSAddr(context.Context, peer.ID, multiaddr.Multiaddr, int, int) ([]multiaddr.Multiaddr, error) {
	return nil, errName
}

// ResolveDNSComponent implements network.MultiaddrDNSResolver.
func (noNames) ResolveDNSComponent(context.Context, multiaddr.Multiaddr, int) ([]multiaddr.Multiaddr, error) {
	return nil, errName
}
