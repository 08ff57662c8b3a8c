package wakurelay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// faults count messages that are none. The router's own scores know only peers that
// listen to us, and whoever floods us need not.
type faults struct {
	mu    sync.Mutex
	peers map[peer.ID]fault
}

type fault struct {
	count int
	since time.Time
}

// mostInvalid messages within faultsFor are too many.
const (
	mostInvalid = 10
	faultsFor   = time.Minute
)

func newFaults() *faults { return &faults{peers: make(map[peer.ID]fault)} }

// add counts, and tells whether that is too many.
func (f *faults) add(p peer.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, own := time.Now(), f.peers[p]
	if now.Sub(own.since) > faultsFor {
		own = fault{since: now}
	}
	if len(f.peers) > mostBanned { // identities cost nothing
		clear(f.peers)
	}
	own.count++
	f.peers[p] = own
	return own.count == mostInvalid
}

// forget is for peers that are gone.
func (f *faults) forget(p peer.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.peers, p)
}
