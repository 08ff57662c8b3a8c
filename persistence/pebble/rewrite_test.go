package pebble_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

func session(i int) persistence.Name {
	return persistence.NewName(persistence.KindSession, binary.BigEndian.AppendUint32(nil, uint32(i)))
}

// content is what a store has.
type content map[persistence.Name]string

// filled writes sessions many times over and deletes some.
func filled(t *testing.T, store persistence.Store, sessions int) content {
	t.Helper()
	filled := make(content)
	random := rand.New(rand.NewPCG(1, 1))
	for round := range 20 {
		var batch persistence.Batch
		for i := range sessions {
			if random.IntN(3) == 0 {
				continue
			}
			record := persistence.Record{Name: session(i), Value: fmt.Appendf(nil, "%d of %d %0200d", round, i, 0)}
			filled[record.Name] = string(record.Value)
			if record.Delete = random.IntN(10) == 0; record.Delete {
				delete(filled, record.Name)
			}
			batch.Records = append(batch.Records, record)
		}
		apply(t, store, batch.Records...)
	}
	return filled
}

func apply(t *testing.T, store persistence.Store, records ...persistence.Record) {
	t.Helper()
	if err := store.Apply(t.Context(), persistence.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

// allOf reads all that a store has, in one scan and one by one.
func allOf(ctx context.Context, store persistence.Store) (content, error) {
	all := make(content)
	err := store.Scan(ctx, "", func(name persistence.Name, value []byte) error {
		all[name] = string(value)
		alone, err := store.Get(ctx, name)
		if err == nil && string(alone) != string(value) {
			err = fmt.Errorf("%s is %q in a scan, and %q alone", name, value, alone)
		}
		return err
	})
	return all, err
}

func holds(t *testing.T, store persistence.Store, want content) {
	t.Helper()
	if got, err := allOf(t.Context(), store); err != nil || !maps.Equal(got, want) {
		t.Errorf("%d records, want %d, or others than these; error %v", len(got), len(want), err)
	}
}

// anew is a record as a rewrite leaves it.
func anew(name persistence.Name, value string) persistence.Record {
	return persistence.Record{Name: name, Value: []byte("anew " + value)}
}

// progress is how far a rewrite in steps has come: what there was before each of those
// that were begun and after the last of them, and how many have ended.
type progress struct {
	states []content
	done   int
	ended  func() // is told of each; may be nil
}

// is tells whether a store has what it may have: the last step as a whole, if it was
// begun, or not at all.
func (p *progress) is(got content) bool {
	return maps.Equal(got, p.states[p.done]) || maps.Equal(got, p.states[len(p.states)-1])
}

// run rewrites all that a store has, so many records a step.
func (p *progress) run(ctx context.Context, store *pebble.Store, step int) error {
	for after := persistence.Name(""); ; {
		var records []persistence.Record
		if err := store.ScanAfter(ctx, after, step, func(name persistence.Name, value []byte) error {
			records = append(records, anew(name, string(value)))
			return nil
		}); err != nil || len(records) == 0 {
			return err
		}
		next := maps.Clone(p.states[p.done])
		for _, record := range records {
			next[record.Name] = string(record.Value)
		}
		p.states = append(p.states, next)
		if err := store.Rewrite(ctx, after, records); err != nil {
			return err
		}
		if p.done++; p.ended != nil {
			p.ended()
		}
		after = records[len(records)-1].Name
	}
}

// TestRewriteLeavesNothingToMerge: what was rewritten is in the last level, with
// nothing above it; what it has left out is gone, what is beside it is not touched;
// and so it is when the store is opened again.
func TestRewriteLeavesNothingToMerge(t *testing.T) {
	const sessions = 2000
	disk := vfs.NewCrashableMem()
	options := pebble.Options{FS: disk, MemTableBytes: 64 << 10}
	store, err := pebble.Open("store", options)
	if err != nil {
		t.Fatal(err)
	}
	before := filled(t, store, sessions)
	beside := persistence.Record{Name: persistence.NewName(persistence.KindTopicKey, []byte("beside")), Value: []byte("it")}
	apply(t, store, beside)
	if m := store.Metrics(); m.Total().TablesSize == m.Levels[6].TablesSize {
		t.Fatal("there is nothing to merge in the first place")
	}
	want := content{beside.Name: string(beside.Value)}
	var records []persistence.Record
	after := persistence.Name("")
	for i := range sessions {
		if value, there := before[session(i)]; there && i%7 > 0 {
			records = append(records, anew(session(i), value))
			want[session(i)] = "anew " + value
		}
		if len(records) == 300 || i == sessions-1 {
			if err := store.Rewrite(t.Context(), after, records); err != nil {
				t.Fatal(err)
			}
			after, records = records[len(records)-1].Name, nil
		}
	}
	holds(t, store, want)
	const small = 2 << 10 // of the record beside
	if m := store.Metrics(); m.Total().TablesSize-m.Levels[6].TablesSize > small {
		t.Errorf("there is something to merge: %v", m)
	}
	apply(t, store, persistence.Record{Name: session(1), Delete: true}, persistence.Record{Name: session(2), Value: []byte("later")})
	delete(want, session(1))
	want[session(2)] = "later"
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if store, err = pebble.Open("store", options); err != nil {
		t.Fatal(err)
	}
	holds(t, store, want)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	noneLeft(t, disk)
}

// A scan shows what there was when it began, whatever is rewritten under it.
func TestScanShowsWhatWasThereBeforeARewrite(t *testing.T) {
	store, err := pebble.Open("store", small(vfs.NewCrashableMem()))
	if err != nil {
		t.Fatal(err)
	}
	before, got := filled(t, store, 200), make(content)
	rewriting := &progress{states: []content{before}}
	if err := store.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		got[name] = string(value)
		if len(got) == 50 {
			return rewriting.run(t.Context(), store, 30)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, before) {
		t.Errorf("the scan shows %d records, there were %d, or others", len(got), len(before))
	}
	holds(t, store, rewriting.states[rewriting.done])
	if rewriting.done < 5 {
		t.Errorf("only %d steps", rewriting.done)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// noneLeft looks for the table of a rewrite.
func noneLeft(t *testing.T, disk vfs.FS) {
	t.Helper()
	names, err := disk.List("store")
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(names, " "); strings.Contains(all, "rewritten") {
		t.Errorf("there is %s", all)
	}
}

// What is out of order, of two kinds, to be deleted, or another epoch of ownership than the store has
// changes nothing; nor does anything in a store that is closed or only read.
func TestRewriteRefusesWhatItCannotPutInPlace(t *testing.T) {
	disk := vfs.NewCrashableMem()
	options := small(disk)
	store, err := pebble.Open("store", options)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, store, persistence.Record{Name: session(1), Value: []byte("one")}, persistence.Record{Name: session(2), Value: []byte("two")})
	record := func(i int) persistence.Record { return persistence.Record{Name: session(i), Value: []byte("anew")} }
	for why, wrong := range map[string][]persistence.Record{
		"descending":    {record(2), record(1)},
		"twice":         {record(1), record(1)},
		"below":         {record(0), record(1)},
		"unowned":       {{Name: persistence.FenceName(persistence.OwnerID{1}), Value: make([]byte, 8)[:7]}},
		"owned":         {{Name: persistence.FenceName(persistence.OwnerID{1}), Value: binary.BigEndian.AppendUint64(nil, 1)}},
		"to be deleted": {{Name: session(1), Delete: true}},
		"of two kinds":  {record(1), {Name: persistence.NewName(persistence.KindTopicKey, []byte("key")), Value: []byte("key")}},
	} {
		var refused *persistence.NameError
		if err := store.Rewrite(t.Context(), session(0), wrong); !errors.As(err, &refused) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if err := store.Rewrite(t.Context(), session(0), nil); err != nil {
		t.Error(err)
	}
	want := map[persistence.Name]string{session(1): "one", session(2): "two"}
	holds(t, store, want)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Rewrite(t.Context(), session(0), []persistence.Record{record(1)}); !errors.Is(err, persistence.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	options.ReadOnly = true
	if store, err = pebble.Open("store", options); err != nil {
		t.Fatal(err)
	}
	if err := store.Rewrite(t.Context(), session(0), []persistence.Record{record(1)}); !errors.Is(err, persistence.ErrReadOnly) {
		t.Errorf("to read only: %v", err)
	}
	holds(t, store, want)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRewriteOnAFullDiskIsAllOrNothing is T04: whichever write the disk refuses, a step
// is there as a whole or not at all, in the store that met it, which can be written to
// when there is space again, and in the one that is opened next.
func TestRewriteOnAFullDiskIsAllOrNothing(t *testing.T) {
	met := 0
	for index, reached := int64(0), true; reached; index++ {
		disk, full := vfs.NewCrashableMem(), &space{errno: refusals["full"].errno}
		full.free()
		store, err := pebble.Open("store", probing(faultydisk.New(disk, full)))
		if err != nil {
			t.Fatal(err)
		}
		rewriting := &progress{states: []content{filled(t, store, 60)}}
		full.writes.Store(0)
		full.left.Store(index)
		err = rewriting.run(t.Context(), store, 17)
		reached = full.writes.Load() > index
		if err != nil {
			met++
		}
		if err != nil && !errors.Is(err, persistence.ErrFull) {
			t.Fatalf("write %d: %v", index, err)
		}
		full.free()
		last := persistence.Record{Name: session(1000), Value: []byte("last")}
		if err := applied(t.Context(), store, persistence.Batch{Records: []persistence.Record{last}}, persistence.ErrFull); err != nil {
			t.Fatalf("write %d: %v", index, err)
		}
		for _, state := range rewriting.states {
			state[last.Name] = string(last.Value)
		}
		for again := range 2 {
			if got, err := allOf(t.Context(), store); err != nil || !rewriting.is(got) {
				t.Fatalf("write %d, opened again %d times: neither before nor after step %d: error %v", index, again, rewriting.done, err)
			}
			if err := store.Close(); err != nil {
				t.Fatalf("write %d: %v", index, err)
			}
			if store, err = pebble.Open("store", small(disk)); err != nil {
				t.Fatalf("write %d: %v", index, err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		noneLeft(t, disk)
	}
	t.Logf("met the full disk %d times", met)
	if met < 10 {
		t.Fatalf("only %d rewrites met the full disk", met)
	}
}

// A file system may make no links, or let nobody make one: then tables are copied, and
// nothing has failed.
func TestRewriteNeedsNoLinks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.ENOTSUP, syscall.EMLINK} {
		refused, disk := 0, vfs.NewCrashableMem()
		store, err := pebble.Open("store", small(faultydisk.New(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpLink {
				refused++
				return &diskError{op: "link", errno: errno}
			}
			return nil
		}))))
		if err != nil {
			t.Fatal(err)
		}
		rewriting := &progress{states: []content{filled(t, store, 60)}}
		if err := rewriting.run(t.Context(), store, 17); err != nil || refused != rewriting.done || refused < 3 {
			t.Errorf("%v: error %v, %d steps, %d links refused", errno, err, rewriting.done, refused)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if store, err = pebble.Open("store", small(disk)); err != nil {
			t.Fatal(err)
		}
		holds(t, store, rewriting.states[rewriting.done])
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		noneLeft(t, disk)
	}
}

// TestCrashWithinARewriteIsAllOrNothing is T02: a crash at any operation on files
// leaves a store that opens with each step as a whole or not at all.
func TestCrashWithinARewriteIsAllOrNothing(t *testing.T) {
	const seed = 1
	t.Logf("seed %d: go test -run TestCrashWithinARewriteIsAllOrNothing ./persistence/pebble", seed)
	watch := &crashes{disk: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(seed, 0))}
	store, err := pebble.Open("store", small(faultydisk.New(watch.disk, watch)))
	if err != nil {
		t.Fatal(err)
	}
	rewriting := &progress{states: []content{filled(t, store, 60)}, ended: func() { watch.acknowledged.Add(1) }}
	watch.mu.Lock()
	begun := len(watch.points)
	watch.mu.Unlock()
	if err := rewriting.run(t.Context(), store, 17); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for i, point := range watch.points[begun:] {
		store, err := pebble.Open("store", small(point.disk))
		if err != nil {
			t.Fatalf("crash %d: %v", i, err)
		}
		got, err := allOf(t.Context(), store)
		if err := errors.Join(err, store.Close()); err != nil {
			t.Fatalf("crash %d: %v", i, err)
		}
		steps := slices.IndexFunc(rewriting.states, func(state content) bool { return maps.Equal(got, state) })
		if steps < point.acknowledged || steps > point.acknowledged+1 {
			t.Fatalf("crash %d of %d: %d steps are there (-1: something else), %d were acknowledged", i, len(watch.points)-begun, steps, point.acknowledged)
		}
		noneLeft(t, point.disk)
	}
	t.Logf("%d crashes, %d steps", len(watch.points)-begun, rewriting.done)
	if rewriting.done < 3 || len(watch.points)-begun < 20 {
		t.Fatal("too few")
	}
}
