package wakurest_test

import (
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/carriertest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

// TestCarrierConforms runs the suite of all carriers, each of which has a node of its
// own: of both kinds, relaying and light.
func TestCarrierConforms(t *testing.T) {
	for _, flavour := range []standin.Flavour{standin.GoWaku, standin.Nwaku} {
		for _, light := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s light %t", flavour, light), func(t *testing.T) {
				carriertest.Run(t, func(t *testing.T) carriertest.Network {
					return newWorld(t, flavour, light).network()
				})
			})
		}
	}
}

// world is a network of nodes, one for each carrier, and one that serves the others.
type world struct {
	net     *standin.Network
	flavour standin.Flavour
	light   bool

	mu    sync.Mutex
	nodes map[carrier.Carrier]*standin.Node
}

const hub = "/ip4/127.0.0.1/tcp/60000/p2p/hub"

func newWorld(t testing.TB, flavour standin.Flavour, light bool) *world {
	t.Helper()
	return &world{net: standin.NewNetwork(), flavour: flavour, light: light, nodes: make(map[carrier.Carrier]*standin.Node)}
}

func (w *world) network() carriertest.Network {
	shards := []string{wakurest.PubsubTopic}
	serving := w.net.Node(standin.Options{Flavour: w.flavour, Shards: shards, Address: hub, FilterTopics: 3000})
	all := func(t testing.TB, do func(*standin.Node)) {
		t.Helper()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, n := range w.nodes {
			do(n)
		}
	}
	return carriertest.Network{
		HasHistory:         true,
		KeepsAcrossRestart: true,
		Exact:              true,
		Patience:           time.Minute,
		Many:               300,
		HistoryAside:       w.light,                    // it is asked in the same way
		MemoryAside:        w.flavour == standin.Nwaku, // it is read and asked in the same way
		Open: func(t testing.TB) carrier.Carrier {
			t.Helper()
			node := w.net.Node(standin.Options{Flavour: w.flavour, Light: w.light, Shards: shards})
			server := httptest.NewServer(node.Handler())
			o := quick(server.URL)
			o.Light, o.MaxTopics = w.light, 3000
			o.StorePeer = hub // who comes later has a node that was not there before
			c := &owner{Carrier: open(t, o), server: server}
			w.mu.Lock()
			w.nodes[c] = node
			w.mu.Unlock()
			return c
		},
		Cut: func(t testing.TB, c carrier.Carrier) func() {
			t.Helper()
			w.mu.Lock()
			node := w.nodes[c]
			w.mu.Unlock()
			node.Cut(true)
			return func() { node.Cut(false) }
		},
		Outage: func(t testing.TB) func() {
			all(t, func(n *standin.Node) { n.Cut(true) })
			return func() { all(t, func(n *standin.Node) { n.Cut(false) }) }
		},
		Restart: func(t testing.TB) {
			all(t, (*standin.Node).Restart)
			serving.Restart()
		},
	}
}

// owner is a carrier whose node ends with it.
type owner struct {
	*wakurest.Carrier
	server *httptest.Server
}

func (o *owner) Close() error {
	err := o.Carrier.Close()
	o.server.Close()
	return err
}

// quick are options for a test.
func quick(url string) wakurest.Options {
	return wakurest.Options{
		URL: url, Timeout: 20 * time.Second,
		PollMin: 2 * time.Millisecond, PollMax: 20 * time.Millisecond, RetryMin: 5 * time.Millisecond, RetryMax: 50 * time.Millisecond,
	}
}

func serveNode(t testing.TB, n *standin.Node) string {
	t.Helper()
	server := httptest.NewServer(n.Handler())
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func open(t testing.TB, o wakurest.Options) *wakurest.Carrier {
	t.Helper()
	c, err := wakurest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
