package jetstream_test

import (
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a server that can be stopped and started again where it was.
type network struct {
	testing.TB
	dir       string
	port      int
	configure func(*server.Options)

	server *embedded.Server
}

// newNetwork starts a server.
func newNetwork(t testing.TB, configure func(*server.Options)) *network {
	t.Helper()
	n := &network{TB: t, dir: t.TempDir(), port: -1, configure: configure}
	t.Cleanup(n.stop)
	n.start()
	return n
}

func (n *network) start() {
	n.Helper()
	s, err := embedded.Start(embedded.Options{Dir: n.dir, Port: n.port, Configure: n.configure})
	if err != nil {
		n.Fatal(err)
	}
	n.server = s
	if n.port > 0 {
		return
	}
	address, err := url.Parse(s.URL())
	if err != nil {
		n.Fatal(err)
	}
	if n.port, err = strconv.Atoi(address.Port()); err != nil {
		n.Fatal(err)
	}
}

func (n *network) stop() {
	if n.server != nil {
		n.server.Stop()
		n.server = nil
	}
}

func (n *network) restart() {
	n.Helper()
	n.stop()
	n.start()
}

func (n *network) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// options are those for a test: quick to try again, and with a stream of its own.
func (n *network) options() jetstream.Options {
	return jetstream.Options{
		Servers:  []string{"nats://" + n.address()},
		Retry:    5 * time.Millisecond,
		RetryMax: 50 * time.Millisecond,
		Stream:   jetstream.Stream{Create: true, MaxAge: time.Hour},
	}
}

// open opens a carrier that is closed with the test.
func (n *network) open(o jetstream.Options) *jetstream.Carrier {
	n.Helper()
	c, err := jetstream.Open(n.Context(), o)
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { closed(n, c) })
	return c
}

// openImpatient opens one whose timeout a slow machine may exceed already here.
func (n *network) openImpatient(o jetstream.Options) *jetstream.Carrier {
	n.Helper()
	o.Timeout = 300 * time.Millisecond
	var c *jetstream.Carrier
	eventually(n, "there is a connection", func() bool {
		var err error
		c, err = jetstream.Open(n.Context(), o)
		if err != nil && !carrier.Retriable(err) {
			n.Fatal(err)
		}
		return err == nil
	})
	n.Cleanup(func() { closed(n, c) })
	return c
}

func closed(t testing.TB, c carrier.Carrier) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// wire is a way to the server that can be cut.
type wire struct {
	testing.TB
	listener net.Listener
	to       func() string
	running  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	deaf  bool // what the server says is not passed on
	ended bool
	conns map[net.Conn]struct{}
}

func newWire(t testing.TB, to func() string) *wire {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{TB: t, listener: listener, to: to, conns: make(map[net.Conn]struct{})}
	w.running.Go(w.accept)
	t.Cleanup(w.end)
	return w
}

func (w *wire) end() {
	_ = w.listener.Close()
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.drop()
	w.running.Wait()
}

func (w *wire) url() string { return "nats://" + w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := new(net.Dialer).DialContext(w.Context(), "tcp", w.to())
		if err != nil {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		open := !w.cut && !w.ended
		if open {
			w.conns[near], w.conns[far] = struct{}{}, struct{}{}
		}
		w.mu.Unlock()
		if !open {
			_ = near.Close()
			_ = far.Close()
			continue
		}
		w.running.Go(func() { w.carry(near, far, true) })
		w.running.Go(func() { w.carry(far, near, false) })
	}
}

func (w *wire) carry(to, from net.Conn, back bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		for back && w.isDeaf() {
			time.Sleep(time.Millisecond)
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, to)
	delete(w.conns, from)
}

// drop ends what is connected.
func (w *wire) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		_ = conn.Close()
	}
}

func (w *wire) isDeaf() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deaf && !w.ended
}

// setDeaf holds up what the server says.
func (w *wire) setDeaf(deaf bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = deaf
}

func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	w.cut = cut
	w.mu.Unlock()
	if cut {
		w.drop()
	}
}
