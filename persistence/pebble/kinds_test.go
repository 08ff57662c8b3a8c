package pebble_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// TestWhatIsDeletedAtOnceLeavesTheLastLevelAlone: what goes through the outbox and the
// inbox is deleted within milliseconds. The deletions end before they come to the last
// level, where the tables of a big store would be written anew for them.
func TestWhatIsDeletedAtOnceLeavesTheLastLevelAlone(t *testing.T) {
	const (
		sessions = 20_000
		hot      = 200 // of them
		rounds   = 400
		messages = 50 // in each
	)
	store, err := pebble.Open("store", pebble.Adjusted(pebble.Options{FS: vfs.NewMem(), MemTableBytes: 256 << 10}, func(o *cockroach.Options) {
		o.LBaseMaxBytes = 1 << 20 // so that there is a level between, as in a big store
	}))
	if err != nil {
		t.Fatal(err)
	}
	value, random := make([]byte, 300), rand.New(rand.NewPCG(1, 1))
	var all, owners []persistence.Record
	for i := range sessions {
		all = append(all, persistence.Record{Name: session(i), Value: value})
	}
	for i := range 100 { // of kinds before and after those
		owners = append(owners, persistence.Record{Name: persistence.NewName(persistence.KindIdentity, []byte{byte(i)}), Value: value},
			persistence.Record{Name: persistence.NewName(persistence.KindPublication, []byte{byte(i)}), Value: value})
	}
	apply(t, store, append(owners, all...)...)
	if err := store.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}

	before := store.Metrics()
	var waiting []persistence.Record
	for range rounds {
		changes := make([]persistence.Record, 0, 5*messages)
		for _, record := range waiting {
			changes = append(changes, persistence.Record{Name: record.Name, Delete: true})
		}
		waiting = waiting[:0]
		for range messages {
			id := binary.BigEndian.AppendUint64(nil, random.Uint64())
			waiting = append(waiting,
				persistence.Record{Name: persistence.NewName(persistence.KindOutbox, id), Value: value},
				persistence.Record{Name: persistence.NewName(persistence.KindInbox, id), Value: value})
			changes = append(changes, persistence.Record{Name: session(random.IntN(hot) * sessions / hot), Value: value})
		}
		apply(t, store, append(changes, waiting...)...)
	}
	after := store.Metrics()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	last := len(after.Levels) - 1
	written := after.Levels[last].TableBytesCompacted - before.Levels[last].TableBytesCompacted
	flushed := after.Levels[0].TableBytesFlushed - before.Levels[0].TableBytesFlushed
	t.Logf("%d bytes flushed, %d written to the last level, which has %d", flushed, written, after.Levels[last].TablesSize)
	if flushed < 2<<20 || written > flushed/4 {
		t.Errorf("of %d bytes that were flushed, %d were written to the last level", flushed, written)
	}
}
