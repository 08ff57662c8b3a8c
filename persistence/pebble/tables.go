package pebble

import (
	"path/filepath"
	"sync"
)

// A scan goes on over a database whose disk has refused a write, also while the
// next one writes: what that one compacts away is still being read.

// keptTables are the tables that a database has removed while scans of one
// before it go on. They stay until the last of those has ended; Pebble itself
// removes what a crash leaves of them. Safe for concurrent use; nil keeps none.
type keptTables struct {
	mu      sync.Mutex
	holders int // databases with calls that nobody may begin any more
	removed []func() error
}

// hold keeps tables from now on, until as many calls of release.
func (k *keptTables) hold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holders++
}

// release removes what was kept when nobody else holds it.
func (k *keptTables) release() {
	k.mu.Lock()
	var removed []func() error
	if k.holders--; k.holders == 0 {
		removed, k.removed = k.removed, nil
	}
	k.mu.Unlock()
	for _, remove := range removed {
		_ = remove() // the monitor learns of a failure
	}
}

// keep tells whether the removal of a file was put off.
func (k *keptTables) keep(name string, remove func() error) bool {
	if k == nil || !isTable(name) || filepath.Base(name) == rewrittenFile { // nobody reads that one
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holders == 0 {
		return false
	}
	k.removed = append(k.removed, remove)
	return true
}
