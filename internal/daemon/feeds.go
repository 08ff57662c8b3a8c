package daemon

import (
	"crypto/rand"
	"encoding/hex"
	"sync"

	"github.com/rookery-im/rookery"
)

// hostedKey names a hosted installation.
type hostedKey struct {
	key          rookery.PublicKey
	installation string
}

func keyOf(i *rookery.Identity) hostedKey { return hostedKey{i.PublicKey(), i.InstallationID()} }

// feeds are those of all hosted installations.
type feeds struct {
	run     string
	options Options

	mu    sync.Mutex
	all   map[hostedKey]*feed
	ended bool
}

func newFeeds(o Options) *feeds {
	var run [8]byte
	_, _ = rand.Read(run[:]) // never fails
	return &feeds{run: hex.EncodeToString(run[:]), options: o, all: make(map[hostedKey]*feed)}
}

func (f *feeds) of(key hostedKey) *feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.all[key]
	if one == nil {
		one = newFeed(f.run, f.options)
		if f.ended {
			one.end(errStopping)
		}
		f.all[key] = one
	}
	return one
}

// end ends all, also those to come: the engine's handler is held up no more.
func (f *feeds) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for _, one := range f.all {
		one.end(errStopping)
	}
}
