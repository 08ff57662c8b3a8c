package throughput

import (
	"os"
	"path/filepath"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
)

// Options are where things are measured, and how much of it.
type Options struct {
	// Dir is a directory of which the stores are made; each goes when what it was
	// for has been measured.
	Dir string
	// Network makes a transport inside the process that loses nothing.
	Network func() transport.Transport
	// Records opens a store that syncs its batches.
	Records func(dir string) (persistence.Store, error)
	Sizes   Sizes
}

// Sizes are those of the measurements.
type Sizes struct {
	Pairs    int // of identities that talk at the same time
	Messages int // of each pair in a turn
	Burst    int // messages of the pair that is alone, in a turn
	Sessions int // that encrypt and commit, and that send directly
	Commits  int // of each session in a turn
	Direct   int // messages sent directly in a turn
	Scale    int // messages in a turn where cost is followed as identities grow
}

// Full are the sizes of docs/performance.md; Short are for seeing that it works.
var (
	Full  = Sizes{Pairs: 1000, Messages: 96, Burst: 10_000, Sessions: 1024, Commits: 64, Direct: 300_000, Scale: 20_000}
	Short = Sizes{Pairs: 50, Messages: 32, Burst: 500, Sessions: 64, Commits: 8, Direct: 5_000, Scale: 1_000}
)

// payloadSize is in bytes.
const payloadSize = 100

// Comparisons are everything that this package measures, by the clock.
func Comparisons(o Options) []measure.Comparison {
	return []measure.Comparison{
		encryptAndCommit(o),
		manyPairs(o, 32, 0.20),
		manyPairs(o, 1, 0.10),
		onePair(o),
		direct(o),
	}
}

// room is a directory of its own in Dir, and how it goes.
func (o Options) room() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(o.Dir, "durable-*")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// engineOptions are those of every engine here: its store is on the disk, sealed,
// and each batch is synced, with its anchor.
func (o Options) engineOptions(dir string) rookery.Options {
	return rookery.Options{
		Dir:       filepath.Join(dir, "store"),
		Unlock:    rookery.KeyFile(filepath.Join(dir, "key")),
		Transport: o.Network(),
	}
}
