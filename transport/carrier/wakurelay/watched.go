package wakurelay

import (
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"
)

// watched is a stream of the relay protocol. The router resets one that carries no
// frames, or one that is too long, and tells nobody.
type watched struct {
	network.Stream
	failed, reset atomic.Bool
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Stream.Read(b)
	if err != nil {
		w.failed.Store(true)
	}
	return n, err
}

// Reset implements network.Stream.
func (w *watched) Reset() error {
	w.reset.Store(true)
	return w.Stream.Reset()
}

// isFaulty is for when the router has done with the stream. If it has reset it though
// all could be read, what it has read was at fault; a stream that ends, or that
// another one replaces, fails first.
func (w *watched) isFaulty() bool { return w.reset.Load() && !w.failed.Load() }
