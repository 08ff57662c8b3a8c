package faults

import (
	"io/fs"
	"math/rand/v2"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

// disk is a faulty one on which opening a file for writing counts as making it: errorfs
// takes it for reading.
type disk struct {
	faultydisk.Disk
	injector errorfs.Injector
}

func faulty(below vfs.FS, injector errorfs.Injector) vfs.FS {
	return disk{faultydisk.New(below, injector), injector}
}

// OpenReadWrite implements vfs.FS.
func (d disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	if err := d.injector.MaybeError(errorfs.Op{Kind: errorfs.OpCreate, Path: name}); err != nil {
		return nil, err
	}
	return d.Disk.OpenReadWrite(name, category, options...)
}

func writes(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }

// percentages of what was not synced, of which a crash leaves something.
var percentages = []int{0, 50, 100}

// point is the disk after a crash before one write operation, and what had left
// the process by then.
type point struct {
	scenario string
	index    int
	percent  int
	op       errorfs.Op
	disk     *vfs.MemFS
	past     past
}

// camera takes a point for each percentage at every write operation.
type camera struct {
	scenario string
	disk     *vfs.MemFS
	ledger   *ledger
	wanted   func(index, percent int) bool

	mu     sync.Mutex
	on     bool
	random *rand.Rand
	index  int
	points []point
	kinds  map[errorfs.OpKind]int
}

func newCamera(scenario string, disk *vfs.MemFS, l *ledger, seed uint64) *camera {
	return &camera{
		scenario: scenario, disk: disk, ledger: l,
		wanted: func(int, int) bool { return true },
		random: rand.New(rand.NewPCG(seed, 0)),
		kinds:  make(map[errorfs.OpKind]int),
	}
}

// roll starts and stops the camera.
func (c *camera) roll(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

// MaybeError implements errorfs.Injector. It never gives an error.
func (c *camera) MaybeError(op errorfs.Op) error {
	if !writes(op) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return nil
	}
	c.kinds[op.Kind]++
	for _, percent := range percentages {
		if !c.wanted(c.index, percent) {
			continue
		}
		// Nothing leaves the process between the two: what the point is held to
		// is just what the clone must have.
		c.ledger.still(func(p past) {
			c.points = append(c.points, point{
				scenario: c.scenario, index: c.index, percent: percent, op: op, past: p,
				disk: c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.random}),
			})
		})
	}
	c.index++
	return nil
}

func (c *camera) String() string { return "camera" }

// breaker lets one write operation fail, or all from one on, until it is off.
type breaker struct {
	errno   syscall.Errno
	index   int
	lasting bool

	mu    sync.Mutex
	on    bool
	seen  int
	fired bool
	first errorfs.Op // that failed
}

func (b *breaker) arm(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on = on
}

// state tells whether an operation has failed, and the first that did.
func (b *breaker) state() (fired bool, first errorfs.Op) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fired, b.first
}

// MaybeError implements errorfs.Injector.
func (b *breaker) MaybeError(op errorfs.Op) error {
	if !writes(op) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.on {
		return nil
	}
	n := b.seen
	b.seen++
	if n != b.index && (!b.lasting || n < b.index) {
		return nil
	}
	if !b.fired {
		b.fired, b.first = true, op
	}
	return &fs.PathError{Op: opNames[op.Kind], Path: op.Path, Err: b.errno}
}

func (b *breaker) String() string { return "breaker" }

// opNames are the operations that write.
var opNames = map[errorfs.OpKind]string{
	errorfs.OpCreate:          "create",
	errorfs.OpLink:            "link",
	errorfs.OpRemove:          "remove",
	errorfs.OpRemoveAll:       "remove-all",
	errorfs.OpRename:          "rename",
	errorfs.OpReuseForWrite:   "reuse",
	errorfs.OpMkdirAll:        "mkdir",
	errorfs.OpLock:            "lock",
	errorfs.OpFileClose:       "close",
	errorfs.OpFileWrite:       "write",
	errorfs.OpFileWriteAt:     "write-at",
	errorfs.OpFileSync:        "sync",
	errorfs.OpFileSyncData:    "sync-data",
	errorfs.OpFileSyncTo:      "sync-to",
	errorfs.OpFileFlush:       "flush",
	errorfs.OpFilePreallocate: "preallocate",
}
