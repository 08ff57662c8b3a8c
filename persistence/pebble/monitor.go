package pebble

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// monitor is Pebble's logger and remembers the first failure that the store
// cannot go on from. The default logger would exit the process instead.
type monitor struct {
	dir    string
	logger *slog.Logger
	cause  atomic.Pointer[error]
	broken chan struct{} // closed once there is a cause
}

var _ pebble.Logger = (*monitor)(nil)

func newMonitor(dir string, logger *slog.Logger) *monitor {
	return &monitor{dir: dir, logger: logger, broken: make(chan struct{})}
}

// Infof logs what Pebble tells of its files.
func (m *monitor) Infof(format string, args ...any) {
	m.logger.Debug("pebble", "dir", m.dir, "detail", fmt.Sprintf(format, args...))
}

// Errorf logs what goes wrong without ending the store. After a failure there is
// no end to it, since nothing that Pebble has written since can be read.
func (m *monitor) Errorf(format string, args ...any) {
	if m.failed() {
		return
	}
	m.logger.Error("pebble", "dir", m.dir, "detail", fmt.Sprintf(format, args...))
}

// Fatalf fails the store and returns, which Pebble's callers bear: an error
// follows, or the store asks the monitor before it reports success.
func (m *monitor) Fatalf(format string, args ...any) {
	cause := fmt.Errorf(format, args...)
	for _, arg := range args {
		// The format has %v or %s for it, which would hide ENOSPC and the like.
		if err, ok := arg.(error); ok {
			cause = err
		}
	}
	m.fail(cause)
}

// fail ends the store's life with its first cause.
func (m *monitor) fail(cause error) {
	if !m.cause.CompareAndSwap(nil, &cause) {
		return
	}
	close(m.broken)
	if refusal(cause) == nil {
		m.logger.Error("store has failed", "dir", m.dir, "error", cause)
	} else {
		m.logger.Warn("the disk takes no writes", "dir", m.dir, "error", cause)
	}
}

// failed says whether there is a failure.
func (m *monitor) failed() bool { return m.cause.Load() != nil }

// failure is the first cause, or nil while all is well.
func (m *monitor) failure() error {
	if cause := m.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// corruption logs a damaged block. The read that met it has the error; records
// in other blocks are still good, so the store goes on.
func (m *monitor) corruption(info pebble.DataCorruptionInfo) {
	m.Errorf("corrupt file %s: %v", info.Path, info.Details)
}

// background logs a flush or compaction that will be tried again.
func (m *monitor) background(err error) { m.Errorf("in the background: %v", err) }
