package rookery_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
)

func TestOptionsThatDoNotFitAreRefused(t *testing.T) {
	network := newAir()
	dir := filepath.Join(t.TempDir(), "store")
	for name, options := range map[string]rookery.Options{
		"nothing":             {},
		"no transport":        {Dir: dir, Unlock: keyOf(dir)},
		"no key":              {Dir: dir, Transport: network},
		"no store":            {Transport: network},
		"directory and store": {Dir: dir, Unlock: keyOf(dir), Store: memstore.New(), Transport: network},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rookery.Open(t.Context(), options)
			wantError(t, err, rookery.ErrOptions)
		})
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a directory was made")
	}
}

// T05: what cannot be opened is refused with its kind, and left alone.
func TestDirectoryThatCannotBeOpenedIsRefused(t *testing.T) {
	file := func(t *testing.T) string {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	tests := []struct {
		name string
		dir  func(t *testing.T) string
		want error
	}{
		{"a file", file, persistence.ErrNotDirectory},
		{"below a file", func(t *testing.T) string { return filepath.Join(file(t), "store") }, persistence.ErrNotDirectory},
		{"corrupt", func(t *testing.T) string {
			w := newWorld(t, backends[0])
			alice, bob := w.person(1)[0], w.person(1)[0]
			w.introduce(w.at(alice), w.at(bob))
			w.send(alice, bob.key, "hello")
			var options rookery.Options
			w.configure[len(w.configure)-1](&options)
			w.close()
			scribble(t, filepath.Join(options.Dir, "records"))
			return options.Dir
		}, cause.ErrStoreCorrupt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := test.dir(t)
			for range 2 { // nothing is held after the first refusal
				_, err := rookery.Open(t.Context(), rookery.Options{Dir: dir, Unlock: keyOf(dir), Transport: newAir()})
				wantError(t, err, test.want)
			}
		})
	}
}

// scribble overwrites the middle of every file of a store but its lock.
func scribble(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(content) / 3; i < 2*len(content)/3; i++ {
			content[i] ^= 0x55
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordsThatCannotBeRightAreReported(t *testing.T) {
	marshal := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		name  string
		kind  persistence.Kind
		value []byte
	}{
		{"identity", persistence.KindIdentity, []byte{0xff}},
		{"identity without key", persistence.KindIdentity, marshal(&record.Identity{InstallationId: "x"})},
		{"identity with key zero", persistence.KindIdentity, marshal(&record.Identity{IdentityKey: make([]byte, 32), InstallationId: "x"})},
		{"outbox", persistence.KindOutbox, []byte{0xff}},
		{"outbox without recipient", persistence.KindOutbox, marshal(&record.Outbox{MessageId: make([]byte, 32)})},
		{"inbox", persistence.KindInbox, []byte{0xff}},
		{"inbox without sender", persistence.KindInbox, marshal(&record.Inbox{MessageId: make([]byte, 32)})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := memstore.New()
			w := newWorld(t, on(lasting{store}))
			alice := w.person(1)[0]
			w.close()
			owner := persistence.NewOwnerID(alice.key[:], alice.installation)
			name := persistence.NewName(test.kind, owner[:])
			if err := store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{{Name: name, Value: test.value}}}); err != nil {
				t.Fatal(err)
			}
			_, err := rookery.Open(t.Context(), rookery.Options{
				Store: lasting{store}, Transport: w.air, Handler: func(rookery.Event) {},
			})
			wantError(t, err, cause.ErrStoreCorrupt)
		})
	}
}

func TestOpenWithAnEndedContextHoldsNothing(t *testing.T) {
	w := newWorld(t, backends[0])
	alice := w.person(1)[0]
	w.close()
	ended, end := context.WithCancel(t.Context())
	end()
	options := rookery.Options{Transport: w.air}
	w.configure[len(w.configure)-1](&options)
	_, err := rookery.Open(ended, options)
	wantError(t, err, context.Canceled)
	w.open() // the directory is free
	w.at(alice)
}

// heldUp is a store that lets nobody be taken over before goOn returns.
type heldUp struct {
	lasting
	goOn func()
}

func (h heldUp) OwnAll(ctx context.Context, owners []persistence.OwnerID) ([]uint64, error) {
	h.goOn()
	return h.lasting.OwnAll(ctx, owners)
}

// Who measures need not know when an engine is open: under the race detector this
// shows that nothing is read while Open still writes it.
func TestMetricsAreReadWhileAnEngineOpens(t *testing.T) {
	m, store := newMeter(t), lasting{memstore.New()}
	w := newWorld(t, on(store), m.configure)
	w.person(2)
	w.close()
	var read atomic.Int64
	var stop atomic.Bool
	var reading sync.WaitGroup
	defer reading.Wait()
	defer stop.Store(true)
	reading.Go(func() {
		for !stop.Load() {
			var all metricdata.ResourceMetrics
			if err := m.reader.Collect(context.Background(), &all); err != nil {
				t.Error(err)
			}
			read.Add(1)
		}
	})
	w.configure = append(w.configure, func(o *rookery.Options) {
		o.Store = heldUp{store, func() { // the identities are loaded
			before := read.Load()
			eventually(t, "two readings", func() bool { return read.Load() >= before+2 })
		}}
	})
	w.open()
	m.awaits("rookery.identities", 2)
}
