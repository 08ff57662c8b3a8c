package pebble

import (
	"log/slog"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A log that could not be made stays lost while other files are lost at the same
// moment: else a batch in it was acknowledged, and is on no disk.
func TestALostLogStaysLost(t *testing.T) {
	const rounds = 400_000
	for round := range rounds {
		disk := newFiles(vfs.NewMem(), newMonitor("store", slog.New(slog.DiscardHandler)))
		disk.monitor.fail(syscall.ENOSPC)
		start := make(chan struct{})
		var all sync.WaitGroup
		for _, name := range []string{"000001.log", "000002.sst"} {
			all.Go(func() {
				<-start
				if _, err := disk.Create(name, vfs.WriteCategoryUnspecified); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		if !disk.logLost.Load() {
			t.Fatalf("round %d: the log is taken for written", round)
		}
	}
}
