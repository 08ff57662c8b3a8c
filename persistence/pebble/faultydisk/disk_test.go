package faultydisk_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

// Clones of a disk in memory can be made while its logs are used again.
func TestLogIsUsedAgainWhileTheDiskIsCloned(t *testing.T) {
	memory := vfs.NewCrashableMem()
	disk := faultydisk.New(memory, errorfs.InjectorFunc(func(errorfs.Op) error { return nil }))
	file, err := disk.Create("0", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		var both sync.WaitGroup
		both.Go(func() {
			for range 5_000 {
				memory.CrashClone(vfs.CrashCloneCfg{})
			}
		})
		both.Go(func() {
			for n := range 5_000 {
				names := [...]string{"0", "1"}
				file, err := disk.ReuseForWrite(names[n%2], names[1-n%2], vfs.WriteCategoryUnspecified)
				if err == nil {
					err = file.Close()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		both.Wait()
	}()
	select {
	case <-over:
	case <-time.After(time.Minute):
		t.Fatal("they wait for each other")
	}
}

// What is written to a log that is used again can fail.
func TestWritesOfALogThatIsUsedAgainFail(t *testing.T) {
	broken := errors.New("broken")
	disk := faultydisk.New(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			return broken
		}
		return nil
	}))
	file, err := disk.Create("old", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := disk.ReuseForWrite("old", "new", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Write([]byte("x")); !errors.Is(err, broken) {
		t.Errorf("wrote with error %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
