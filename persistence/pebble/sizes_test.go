package pebble_test

import (
	"encoding/binary"
	"errors"
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

// What a walk has left behind it does not count any more, and nothing is left above
// the last name. Beside the tables nothing is looked at.
func TestSizeAfterShrinksAlongAWalk(t *testing.T) {
	store, err := pebble.Open("store", pebble.Options{FS: vfs.NewMem(), MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if size, err := store.SizeAfter(t.Context(), ""); size != 0 || err != nil {
		t.Errorf("an empty store has %d bytes, error %v", size, err)
	}
	const records, value = 4000, 1000
	name := func(i int) persistence.Name {
		return persistence.NewName(persistence.KindSession, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	for i := range records {
		record := persistence.Record{Name: name(i), Value: make([]byte, value)}
		if err := store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{record}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole, err := store.SizeAfter(t.Context(), "")
	if err != nil || whole < records*value || whole > 2*records*value {
		t.Errorf("%d bytes for %d of values, error %v", whole, records*value, err)
	}
	half, err := store.SizeAfter(t.Context(), name(records/2))
	if err != nil || half < whole/3 || half > 2*whole/3 {
		t.Errorf("%d bytes of %d above the middle, error %v", half, whole, err)
	}
	if rest, err := store.SizeAfter(t.Context(), name(records)); rest != 0 || err != nil {
		t.Errorf("%d bytes above all names, error %v", rest, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.SizeAfter(t.Context(), ""); !errors.Is(err, persistence.ErrClosed) {
		t.Errorf("a closed store gives %v", err)
	}
}
