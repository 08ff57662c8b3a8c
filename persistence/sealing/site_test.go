package sealing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// TestMain checks that a closed store leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newKeyFile is the path of a key file that there is not yet.
func newKeyFile(t testing.TB) string { return filepath.Join(t.TempDir(), "key") }

// on is a store on a disk in memory, with Pebble's logs and tables small.
func on(disk vfs.FS, keyFile string) sealing.Options {
	return sealing.Options{
		Dir:       "store",
		Protector: keyring.KeyFile(keyFile),
		Files:     pebble.Files(disk),
		Records: func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{FS: disk, MemTableBytes: 64 << 10, CacheBytes: 1 << 20})
		},
		Bound: -1,
	}
}

func open(t testing.TB, options sealing.Options) *sealing.Store {
	t.Helper()
	store, err := sealing.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func shut(t testing.TB, store persistence.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func named(part string) persistence.Name {
	return persistence.NewName(persistence.KindSession, []byte(part))
}

func numbered(i int) persistence.Name { return named(fmt.Sprintf("%06d", i)) }

func put(t testing.TB, store persistence.Store, name persistence.Name, value string) {
	t.Helper()
	ok(t, store.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{{Name: name, Value: []byte(value)}}}))
}

func has(t testing.TB, store persistence.Store, name persistence.Name, want string) {
	t.Helper()
	got, err := store.Get(t.Context(), name)
	if err != nil || string(got) != want {
		t.Fatalf("%s is %.40q, error %v, want %.40q", name, got, err, want)
	}
}

// pair is batch i: two records that tell its number, one of them written over by
// every batch.
func pair(i int) persistence.Batch {
	value := fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", 200))
	return persistence.Batch{Records: []persistence.Record{
		{Name: numbered(i), Value: value},
		{Name: persistence.NewName(persistence.KindIdentity), Value: value},
	}}
}

// survivors checks what pairs there are: all up to a number that is at least
// acknowledged and at most attempted, whole, and nothing else.
func survivors(ctx context.Context, store persistence.Store, acknowledged, attempted int) error {
	count := 0
	err := store.Scan(ctx, persistence.NewName(persistence.KindSession), func(name persistence.Name, value []byte) error {
		if want := pair(count).Records[0]; name != want.Name || string(value) != string(want.Value) {
			return fmt.Errorf("record %d is %s = %.12q", count, name, value)
		}
		count++
		return nil
	})
	if err != nil {
		return err
	}
	if count < acknowledged || count > attempted {
		return fmt.Errorf("%d batches are there, of %d acknowledged and %d attempted", count, acknowledged, attempted)
	}
	if count == 0 {
		return nil
	}
	last, err := store.Get(ctx, persistence.NewName(persistence.KindIdentity))
	if err != nil || string(last) != string(pair(count - 1).Records[1].Value) {
		return fmt.Errorf("half of batch %d: the other record is %.12q, %w", count-1, last, err)
	}
	return nil
}

// apply writes the pairs from one number up to another.
func apply(t testing.TB, store persistence.Store, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		ok(t, store.Apply(t.Context(), pair(i)))
	}
}

// load writes the pairs as apply does, fifty in a batch: for where the number of
// batches is not what counts.
func load(t testing.TB, store persistence.Store, from, to int) {
	t.Helper()
	for from < to {
		var many persistence.Batch
		for end := min(from+50, to); from < end; from++ {
			many.Records = append(many.Records, pair(from).Records...)
		}
		ok(t, store.Apply(t.Context(), many))
	}
}

// copied is a copy of what is on a disk, as one takes a backup of files.
func copied(disk *vfs.MemFS) *vfs.MemFS {
	return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 0))})
}

// exchange puts a file or directory of one disk in the place of another's.
func exchange(t testing.TB, to, from vfs.FS, name string) {
	t.Helper()
	ok(t, to.RemoveAll(name))
	_, err := vfs.Clone(from, to, name, name)
	ok(t, err)
}

// files lists the paths of all files below a directory.
func files(t testing.TB, disk vfs.FS, dir string) []string {
	t.Helper()
	names, err := disk.List(dir)
	ok(t, err)
	var all []string
	for _, name := range names {
		name = path.Join(dir, name)
		info, err := disk.Stat(name)
		ok(t, err)
		if info.IsDir() {
			all = append(all, files(t, disk, name)...)
		} else {
			all = append(all, name)
		}
	}
	return all
}

func contentOf(t testing.TB, disk vfs.FS, name string) []byte {
	t.Helper()
	file, err := disk.Open(name)
	ok(t, err)
	content, err := io.ReadAll(file)
	ok(t, errors.Join(err, file.Close()))
	return content
}

func replace(t testing.TB, disk vfs.FS, name string, content []byte) {
	t.Helper()
	file, err := disk.Create(name, vfs.WriteCategoryUnspecified)
	ok(t, err)
	_, err = file.Write(content)
	ok(t, errors.Join(err, file.Close()))
}
