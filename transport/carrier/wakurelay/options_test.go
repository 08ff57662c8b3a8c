package wakurelay

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

const someone = "/p2p/16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ"

func TestOptionsOutOfBoundsAreRefused(t *testing.T) {
	tooMany := make([]uint16, mostShards+1)
	for i := range tooMany {
		tooMany[i] = uint16(i)
	}
	for name, o := range map[string]Options{
		"a shard twice":          {Shards: []uint16{32, 64, 32}},
		"too many shards":        {Shards: tooMany},
		"listen on a name":       {Listen: "localhost:0"},
		"listen without a port":  {Listen: "127.0.0.1"},
		"listen on a link":       {Listen: "[fe80::1%eth0]:0"},
		"no multiaddr":           {Peers: []string{"127.0.0.1:60000"}},
		"peer without identity":  {Peers: []string{"/ip4/127.0.0.1/tcp/60000"}},
		"peer of a bad identity": {Peers: []string{"/ip4/127.0.0.1/tcp/60000/p2p/16Uiu20OIl"}},
		"peer of a list":         {Peers: []string{"/dnsaddr/nodes.example.org" + someone}},
		"list with a port":       {Peers: []string{"/dnsaddr/nodes.example.org/tcp/30303" + someone}},
		"name without identity":  {Peers: []string{"/dns4/node.example.org/tcp/30303"}},
		"name over WebSockets":   {Peers: []string{"/dns4/node.example.org/tcp/443/wss" + someone}},
		"peer over QUIC":         {Peers: []string{"/ip4/127.0.0.1/udp/60000/quic-v1" + someone}},
		"peer over WebSockets":   {Peers: []string{"/ip4/127.0.0.1/tcp/60000/ws" + someone}},
		"peer behind another":    {Peers: []string{"/ip4/127.0.0.1/tcp/60000" + someone + "/p2p-circuit" + someone}},
		"MinPeers":               {MinPeers: -1},
		"MaxPeers":               {MaxPeers: -1},
		"MaxMessage too small":   {MaxMessage: carrier.MaxPayload},
		"MaxMessage too large":   {MaxMessage: mostFrame},
		"Outgoing":               {Outgoing: -1},
		"Incoming":               {Incoming: mostWaiting + 1},
		"IncomingBytes":          {IncomingBytes: 1},
	} {
		if c, err := Open(o); !errors.Is(err, carrier.ErrOptions) {
			t.Errorf("%s: got %v", name, err)
			if c != nil {
				_ = c.Close()
			}
		}
	}
}

func TestZeroOptionsAreThoseOfDeployedClients(t *testing.T) {
	o, err := Options{}.settle()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(o.topics, o.listen); got != "[/waku/2/rs/16/32] /ip4/127.0.0.1/tcp/0" {
		t.Errorf("got %s", got)
	}
	if o.pace != deployedPace || o.MinPeers != 1 {
		t.Errorf("got %+v, %d", o.pace, o.MinPeers)
	}
}

func TestAddressesOfOnePeerArePutTogether(t *testing.T) {
	peers, err := peersOf([]string{"/ip4/127.0.0.1/tcp/1" + someone, "/ip6/::1/tcp/2" + someone})
	if err != nil || len(peers) != 1 || len(peers[0].Addrs) != 2 {
		t.Errorf("got %v, %v", peers, err)
	}
}

// TestKeySaysWhoAPeerIs holds that a key gives the same peer each time, of the kind
// that deployed nodes have for it, and that no verb prints it.
func TestKeySaysWhoAPeerIs(t *testing.T) {
	material := bytes.Repeat([]byte{0x42}, 32)
	for prefix, makeKey := range map[string]func([]byte) (NodeKey, error){"12D3KooW": Ed25519Key, "16Uiu2HA": Secp256k1Key} {
		key, err := makeKey(material)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for range 2 {
			c := open(t, Options{Key: key, Listen: nextIP().String() + ":0"})
			addresses := c.Addresses()
			if len(addresses) != 1 {
				t.Fatalf("addresses are %q", addresses)
			}
			_, id, _ := strings.Cut(addresses[0], "/p2p/")
			ids = append(ids, id)
		}
		if ids[0] != ids[1] || !strings.HasPrefix(ids[0], prefix) {
			t.Errorf("peers are %q", ids)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if said := fmt.Sprintf(verb, Options{Key: key}); strings.Contains(said, "42") || strings.Contains(said, "66") || strings.Contains(said, "BB") {
				t.Errorf("%s prints %s", verb, said)
			}
		}
		for _, wrong := range [][]byte{nil, material[1:], append([]byte{1}, material...)} {
			if _, err := makeKey(wrong); !errors.Is(err, carrier.ErrOptions) {
				t.Errorf("key of %d bytes: %v", len(wrong), err)
			}
		}
	}
	for _, outside := range [][]byte{make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)} {
		if _, err := Secp256k1Key(outside); !errors.Is(err, carrier.ErrOptions) {
			t.Errorf("key %x: %v", outside, err)
		}
	}
	key, err := Ed25519Key(material)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, Options{Key: key, Listen: nextIP().String() + ":0"})
	if _, err := Open(Options{Key: key, Peers: c.Addresses()}); !errors.Is(err, carrier.ErrOptions) {
		t.Errorf("a peer of itself: %v", err)
	}
}

// TestPausesGrow holds that dialing slows down as long as it fails, to a limit, and
// that not everybody waits alike.
func TestPausesGrow(t *testing.T) {
	p := deployedPace
	for failures, seconds := range []int{1, 2, 4, 8, 16, 32, 64, 120, 120} {
		most := time.Duration(seconds) * time.Second
		seen := make(map[time.Duration]bool)
		for range 50 {
			wait := p.wait(failures)
			if wait < most/2 || wait > most {
				t.Errorf("pause %d is %s, want at most %s", failures, wait, most)
			}
			seen[wait] = true
		}
		if len(seen) < 40 {
			t.Errorf("only %d pauses of 50 differ", len(seen))
		}
	}
	if wait := p.wait(1 << 40); wait > p.lastRetry {
		t.Errorf("pause is %s", wait)
	}
}

func TestListeningWhereSomebodyIsFails(t *testing.T) {
	c := open(t, Options{Listen: nextIP().String() + ":0"})
	taken := strings.Split(c.Addresses()[0], "/")
	if other, err := Open(Options{Listen: taken[2] + ":" + taken[4]}); err == nil {
		t.Error("two listen at one address")
		_ = other.Close()
	}
}
