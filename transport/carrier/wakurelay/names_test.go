package wakurelay

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
)

// TestConfiguredNameIsLookedUpEachTime: whatever it has stood for before, and whoever
// answers there: only the peer of the configured identity counts.
func TestConfiguredNameIsLookedUpEachTime(t *testing.T) {
	hub, other := newArchive(t), newArchive(t)
	part := strings.Split(hub.address(), "/")
	right := netip.MustParseAddr(part[2])
	wrong := netip.MustParseAddr(strings.Split(other.address(), "/")[2])
	nobody, _ := netip.AddrFromSlice(nextIP().To4())
	var calls atomic.Int32
	var moved atomic.Bool
	names := func(_ context.Context, network, name string) ([]netip.Addr, error) {
		if network != "ip4" || name != "node.example.org" {
			t.Errorf("looked up %s of %s", network, name)
		}
		switch n := calls.Add(1); {
		case n == 1:
			return nil, errors.New("no answer")
		case n == 2:
			return nil, nil
		case n == 3 || moved.Load():
			return []netip.Addr{nobody}, nil
		}
		return []netip.Addr{wrong, right}, nil
	}
	c, k := listening(t, Options{Peers: []string{"/dns4/node.example.org/tcp/" + part[4] + "/p2p/" + hub.node.ID().String()}, lookUp: names})
	isReady(t, c)
	m := message("by name")
	if err := say(t, c, m); err != nil {
		t.Fatal(err)
	}
	k.next(t)
	at, err := multiaddr.NewMultiaddr(hub.address())
	if err != nil {
		t.Fatal(err)
	}
	moved.Store(true)
	c.node.disconnect(hub.node.ID())
	before := calls.Load()
	eventually(t, "it is looked up again", func() bool { return calls.Load() > before+1 })
	if c.node.gate.InterceptAddrDial(hub.node.ID(), at) || c.node.swarm.Connectedness(hub.node.ID()) == network.Connected {
		t.Error("a peer is dialed where its name does not lead any more")
	}
	eventually(t, "Health tells of it", func() bool { return c.Health().Err != nil })
	moved.Store(false)
	isReady(t, c)
}

// TestNoOtherNameIsLookedUp: not those that peers say of themselves.
func TestNoOtherNameIsLookedUp(t *testing.T) {
	hub := newArchive(t)
	w, address := hub.wire(t)
	c, _ := listening(t, Options{Peers: []string{address}, lookUp: func(_ context.Context, _, name string) ([]netip.Addr, error) {
		t.Errorf("looked up %s", name)
		return nil, errors.New("no")
	}})
	isReady(t, c)
	told, err := multiaddr.NewMultiaddr("/dns4/elsewhere.example.org/tcp/1")
	if err != nil {
		t.Fatal(err)
	}
	c.node.Peerstore().AddAddr(hub.node.ID(), told, 1<<40)
	w.cut()
	eventually(t, "the end is noticed", func() bool { return !c.Health().Ready })
	w.mend()
	isReady(t, c)
}

// TestConfiguredAddressesAreTrusted: strangers at the address of a configured peer must
// not cost its score.
func TestConfiguredAddressesAreTrusted(t *testing.T) {
	o, err := Options{Peers: []string{"/ip4/192.0.2.7/tcp/1" + someone, "/ip6/2001:db8::7/tcp/1" + someone, "/dns/node.example.org/tcp/1" + someone}}.settle()
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]bool{
		"192.0.2.7": true, "2001:db8::7": true, "2001:db8::": true, "192.0.2.8": false, "2001:db8:1::7": false, "10.0.0.1": false,
	} {
		got := false
		for _, part := range trusted(o) {
			got = got || part.Contains(netip.MustParseAddr(ip).AsSlice())
		}
		if got != want {
			t.Errorf("%s is trusted: %t", ip, got)
		}
	}
}
