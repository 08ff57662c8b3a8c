package wakurelay

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// addresses hands out loopback addresses: more than five peers of one are taken for
// one that pretends to be many.
var addresses atomic.Uint32

func nextIP() net.IP {
	n := addresses.Add(1)
	return net.IPv4(127, 1, byte(n>>7), byte(n&127)+1)
}

// wire is the way from one peer to another, which can be cut.
type wire struct {
	listener net.Listener
	to       string
	from     net.IP

	mu     sync.Mutex
	isCut  bool
	silent chan struct{} // closed when it carries again, nil if it does
	ends   map[net.Conn]struct{}
	done   sync.WaitGroup
}

// layWire leads to a peer, given as one of its addresses. The other way round it
// looks as if who uses it had an address of its own.
func layWire(t testing.TB, to string) *wire {
	t.Helper()
	part := strings.Split(to, "/")
	from := nextIP()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", from.String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, to: net.JoinHostPort(part[2], part[4]), from: from, ends: make(map[net.Conn]struct{})}
	w.done.Go(w.run)
	t.Cleanup(w.end)
	return w
}

func (w *wire) end() {
	_ = w.listener.Close()
	w.cut()
	w.done.Wait()
}

// address is that of the peer at the other end, reached through the wire.
func (w *wire) address(id string) string {
	at := w.listener.Addr().(*net.TCPAddr)
	return fmt.Sprintf("/ip4/%s/tcp/%d/p2p/%s", at.IP, at.Port, id)
}

func (w *wire) run() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: w.from}}
		far, err := dialer.Dial("tcp", w.to)
		if err != nil || !w.keep(near, far) {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			continue
		}
		w.done.Go(func() { w.carry(near, far) })
		w.done.Go(func() { w.carry(far, near) })
	}
}

func (w *wire) keep(ends ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range ends {
		if !w.isCut {
			w.ends[end] = struct{}{}
		}
	}
	return !w.isCut
}

func (w *wire) carry(to, from net.Conn) {
	_, _ = io.Copy(writer(func(b []byte) (int, error) {
		w.mu.Lock()
		silent := w.silent
		w.mu.Unlock()
		if silent != nil {
			<-silent
		}
		return to.Write(b)
	}), from)
	for _, end := range []net.Conn{to, from} {
		_ = end.Close()
		w.mu.Lock()
		delete(w.ends, end)
		w.mu.Unlock()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// hush lets nothing through, without an end of connections.
func (w *wire) hush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = make(chan struct{})
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	if w.silent != nil {
		close(w.silent)
		w.silent = nil
	}
	for end := range w.ends {
		_ = end.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}

func (w *wire) isWhole() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.isCut
}
