package pebble

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A batch that is in the log when the disk refuses a table is synced and will be
// acknowledged: the database that reads next must show it, so it is waited for. One
// whose log lacks something will be refused, and is not.
func TestSettlingWaitsForTheSyncOfABatchInTheLog(t *testing.T) {
	for name, lost := range map[string]bool{"synced": false, "lost": true} {
		synctest.Test(t, func(t *testing.T) { settlesOnceTheLogHas(t, name, lost) })
	}
}

func settlesOnceTheLogHas(t *testing.T, name string, lost bool) {
	f := newFiles(vfs.NewMem(), newMonitor("store", slog.New(slog.DiscardHandler)))
	f.logs = new(logEnds)
	end := f.logs.begin("store/000002.log")
	end.written.Store(100)
	f.monitor.fail(errors.New("a table could not be written"))
	settled := make(chan struct{})
	go func() {
		f.settle()
		close(settled)
	}()
	select {
	case <-settled:
		t.Fatalf("%s: settled before the log was", name)
	case <-time.After(settleWithin / 20):
	}
	if lost {
		f.logLost.Store(true)
	} else {
		end.synced.Store(100)
	}
	select {
	case <-settled:
	case <-time.After(settleWithin / 20):
		t.Fatalf("%s: not settled", name)
	}
	f.logs.settle()
	if _, cut := f.logs.cut["store/000002.log"]; cut != lost {
		t.Errorf("%s: the log is cut: %v", name, cut)
	}
}
