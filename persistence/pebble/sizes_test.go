package pebble_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// What a store takes grows with what is written, which is in the log first.
func TestSizesGrowWithWhatIsWritten(t *testing.T) {
	store, err := pebble.Open("store", pebble.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	before, err := store.Sizes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const size = 1 << 20
	record := persistence.Record{Name: persistence.NewName(persistence.KindIdentity, []byte("x")), Value: make([]byte, size)}
	if err := store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{record}}); err != nil {
		t.Fatal(err)
	}
	after, err := store.Sizes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.Log < before.Log+size || after.Files < before.Files+size || after.Files <= after.Log {
		t.Errorf("%+v, before %+v", after, before)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Sizes(t.Context()); err == nil {
		t.Error("a closed store has a size")
	}
}
