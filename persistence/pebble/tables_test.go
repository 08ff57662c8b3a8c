package pebble_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

// A scan that began before the disk was full reads on from tables which the
// database that writes after it has compacted away; they go when the scan ends.
func TestScanGoesOnOverTablesThatAreCompactedAway(t *testing.T) {
	const records, size = 200, 64 << 10
	disk := vfs.NewMem()
	full := &space{errno: syscall.ENOSPC}
	full.free()
	options := probing(faultydisk.New(disk, full))
	options.MemTableBytes = 1 << 20
	store, err := pebble.Open("store", options)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, store)
	rewrite := func(version byte) {
		t.Helper()
		for i := range records {
			batch := persistence.Batch{Records: []persistence.Record{{Name: numbered(i), Value: []byte(strings.Repeat(string(version), size))}}}
			if err := applied(t.Context(), store, batch, persistence.ErrFull); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tables := func() (names []string) {
		t.Helper()
		all, err := disk.List("store")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range all {
			if strings.HasSuffix(name, ".sst") {
				names = append(names, name)
			}
		}
		return names
	}
	rewrite('1')
	// Some of these may be obsolete already, and go at any time.
	before, seen := tables(), 0
	var during []string
	err = store.Scan(t.Context(), persistence.NewName(persistence.KindSession), func(name persistence.Name, value []byte) error {
		if seen == 0 {
			full.left.Store(0)
			if err := store.Apply(t.Context(), pair(records)); !errors.Is(err, persistence.ErrFull) {
				return fmt.Errorf("%w, want ErrFull", err)
			}
			full.free()
			rewrite('2')
			during = tables()
		}
		seen++
		if value[0] != '1' || len(value) != size {
			return fmt.Errorf("%s is %d bytes of version %c", name, len(value), value[0])
		}
		return nil
	})
	if err != nil || seen != records {
		t.Fatalf("%d records, %v, want %d", seen, err, records)
	}
	old := func(name string) bool { return slices.Contains(before, name) }
	if written := slices.DeleteFunc(slices.Clone(during), old); len(written) < 2 {
		t.Fatalf("tables %q before and %q during the scan: nothing was compacted away", before, during)
	}
	if !slices.ContainsFunc(during, old) {
		t.Fatalf("tables %q before and %q during the scan: nothing was kept", before, during)
	}
	for end := time.Now().Add(time.Minute); slices.ContainsFunc(tables(), old); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("tables %q before, %q during and %q after the scan", before, during, tables())
		}
	}
}
