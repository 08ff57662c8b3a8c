package wakurelay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// dialer stays connected with one configured peer.
type dialer struct {
	node    *node
	meshes  *meshes
	pace    *pace
	peer    peer.AddrInfo
	changed chan struct{} // a connection has ended

	mu     sync.Mutex
	err    error // what it fails with now
	blamed error // what speaks against the peer that it is connected with
}

func newDialer(n *node, m *meshes, pace *pace, p peer.AddrInfo) *dialer {
	return &dialer{node: n, meshes: m, pace: pace, peer: p, changed: make(chan struct{}, 1)}
}

// run dials until the end of ctx, with pauses that grow as long as it does not help.
func (d *dialer) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		if !d.node.gate.isBanned(d.peer.ID) {
			start := time.Now()
			err := d.node.dial(ctx, d.peer)
			d.fail(err)
			if err == nil {
				d.fail(d.stay(ctx))
			}
			if time.Since(start) > d.pace.uselessFor { // it has been of use
				failures = 0
			}
		}
		pause(ctx, d.pace.wait(failures))
	}
}

// stay waits for the end of the connection, and ends it itself if it is of no use.
func (d *dialer) stay(ctx context.Context) error {
	ticker := time.NewTicker(d.pace.uselessFor)
	defer ticker.Stop()
	for useful := true; d.node.swarm.Connectedness(d.peer.ID) == network.Connected; {
		select {
		case <-ctx.Done():
			return nil
		case <-d.changed:
		case <-ticker.C:
			before := useful
			if useful = d.meshes.knows(d.peer.ID); !useful && !before {
				d.node.disconnect(d.peer.ID)
				return fmt.Errorf("peer %s does not relay these shards", d.peer.ID)
			}
		}
	}
	return fmt.Errorf("peer %s has disconnected", d.peer.ID)
}

// hears of the end of a connection.
func (d *dialer) hears() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// blame notes why the connection is about to end.
func (d *dialer) blame(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.blamed = err
}

func (d *dialer) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil && d.blamed != nil {
		err, d.blamed = fmt.Errorf("peer %s: %w", d.peer.ID, d.blamed), nil
	}
	d.err = err
}

// fails tells what it fails with, nil if it does not.
func (d *dialer) fails() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// wait is how long to wait after some failures: twice as long each time, and between
// half of that and all of it, so that not everybody comes back at once.
func (p *pace) wait(failures int) time.Duration {
	most := p.firstRetry
	for range failures {
		if most *= 2; most >= p.lastRetry {
			most = p.lastRetry
			break
		}
	}
	var random [8]byte
	_, _ = rand.Read(random[:])                                                   // never fails
	half := uint64(most / 2)                                                      //nolint:gosec // not negative
	return most/2 + time.Duration(binary.LittleEndian.Uint64(random[:])%(half+1)) //nolint:gosec // at most half
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
