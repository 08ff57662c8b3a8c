package sealing_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/sealing"
)

func wantStoreError(t testing.TB, err error, want ...error) {
	t.Helper()
	var told *persistence.StoreError
	if !errors.As(err, &told) {
		t.Fatalf("got %v, want a *persistence.StoreError", err)
	}
	for _, want := range want {
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
}

// image is the content of all files.
func image(t testing.TB, disk vfs.FS) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range files(t, disk, "store") {
		all[name] = string(contentOf(t, disk, name))
	}
	return all
}

func same(t testing.TB, before, after map[string]string) {
	t.Helper()
	for name, content := range after {
		if old, found := before[name]; !found || old != content {
			t.Errorf("%s has changed", name)
		}
	}
	for name := range before {
		if _, found := after[name]; !found {
			t.Errorf("%s is gone", name)
		}
	}
}

// TestWrongKeyIsToldBeforeAnythingIsWritten is T46 for the store.
func TestWrongKeyIsToldBeforeAnythingIsWritten(t *testing.T) {
	disk := vfs.NewMem()
	options := on(disk, "")
	options.Protector = keyring.Passphrase("right")
	store := open(t, options)
	put(t, store, named("a"), "1")
	shut(t, store)
	before := image(t, disk)
	options.Protector = keyring.Passphrase("wrong")
	options.Records = func(string) (persistence.Store, error) {
		t.Error("the records were opened")
		return nil, errors.New("never")
	}
	_, err := sealing.Open(t.Context(), options)
	wantStoreError(t, err, keyring.ErrWrongKey)
	same(t, before, image(t, disk))
}

// TestNewProtectorReplacesTheOld is T46: after a change of passphrase the old
// one opens nothing.
func TestNewProtectorReplacesTheOld(t *testing.T) {
	disk := vfs.NewMem()
	options := on(disk, newKeyFile(t))
	store := open(t, options)
	put(t, store, named("a"), "1")
	other := keyring.KeyFile(newKeyFile(t))
	ok(t, store.SetProtector(t.Context(), other))
	put(t, store, named("b"), "2")
	shut(t, store)
	_, err := sealing.Open(t.Context(), options)
	wantStoreError(t, err, keyring.ErrWrongKey)
	options.Protector = other
	store = open(t, options)
	has(t, store, named("a"), "1")
	has(t, store, named("b"), "2")
	shut(t, store)
}

// TestRecordsWithoutAKeyringAreRefused: no new keyring covers them up.
func TestRecordsWithoutAKeyringAreRefused(t *testing.T) {
	options, records := over(t)
	lay(t, records, named("a"), []byte("sealed under what is lost"))
	_, err := sealing.Open(t.Context(), options)
	wantStoreError(t, err, sealing.ErrNoKeyring, persistence.ErrCorrupt)
	if _, err := options.Files.Open("store/keyring"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a keyring was made: %v", err)
	}
}

// TestDamagedHeadIsReported: it is no rollback, and nothing is written.
func TestDamagedHeadIsReported(t *testing.T) {
	options, records := over(t)
	store := open(t, options)
	put(t, store, named("a"), "1")
	shut(t, store)
	name := persistence.NewName(persistence.KindHead)
	bad := raw(t, records, name)
	bad[20] ^= 1
	lay(t, records, name, bad)
	_, err := sealing.Open(t.Context(), options)
	wantStoreError(t, err, persistence.ErrCorrupt)
	if !bytes.Equal(bad, raw(t, records, name)) {
		t.Fatal("the head was written")
	}
}

// TestFailingRandomnessOpensNothing is T51: no weak key, no record.
func TestFailingRandomnessOpensNothing(t *testing.T) {
	failed := errors.New("source failed")
	// The first Open reads a store id, an anchor key, an epoch key, a nonce, a salt
	// and a key file, then the next epoch's key and nonce, and the id of the run.
	const needed = 16 + 32 + 32 + 24 + 16 + 32 + 32 + 24 + 16
	for good := range needed + 1 {
		options, records := over(t)
		options.Random = &brokenAfter{good: good, err: failed}
		store, err := sealing.Open(t.Context(), options)
		if err == nil {
			shut(t, store)
			if good < needed {
				t.Fatalf("opened with %d random bytes", good)
			}
			return
		}
		wantStoreError(t, err, failed)
		ok(t, records.Scan(t.Context(), "", func(name persistence.Name, _ []byte) error {
			t.Fatalf("%d random bytes: %s was written", good, name)
			return nil
		}))
	}
	t.Fatal("it never opened")
}

// brokenAfter gives so many bytes and then fails.
type brokenAfter struct {
	good int
	err  error
}

func (b *brokenAfter) Read(p []byte) (int, error) {
	if b.good < len(p) {
		return 0, b.err
	}
	for i := range p {
		p[i] = byte(b.good * (i + 1))
	}
	b.good -= len(p)
	return len(p), nil
}

// TestReadOnlyChangesNothing: every method that would is refused, and all files
// stay as they are.
func TestReadOnlyChangesNothing(t *testing.T) {
	disk, keyFile := vfs.NewMem(), newKeyFile(t)
	options, records := over(t)
	options.Files, options.Protector = on(disk, keyFile).Files, keyring.KeyFile(keyFile)
	options.Records = func(dir string) (persistence.Store, error) { return records, disk.MkdirAll(dir, 0o700) }
	store := open(t, options)
	apply(t, store, 0, 3)
	shut(t, store)

	before, head := image(t, disk), raw(t, records, persistence.NewName(persistence.KindHead))
	options.ReadOnly = true
	store = open(t, options)
	if store.RolledBack() {
		t.Fatal("told to have gone back")
	}
	ok(t, survivors(t.Context(), store, 3, 3))
	ctx := t.Context()
	_, owned := store.Own(ctx, persistence.OwnerID{})
	for name, err := range map[string]error{
		"apply": store.Apply(ctx, pair(3)), "own": owned, "rotate": store.Rotate(ctx), "recovered": store.Recovered(ctx),
		"restored": store.MarkRestored(ctx), "protector": store.SetProtector(ctx, keyring.Passphrase("x")),
	} {
		if !errors.Is(err, sealing.ErrReadOnly) {
			t.Errorf("%s: got %v, want ErrReadOnly", name, err)
		}
	}
	if _, err := store.Stats(ctx); err != nil {
		t.Error(err)
	}
	shut(t, store)
	same(t, before, image(t, disk))
	if !bytes.Equal(head, raw(t, records, persistence.NewName(persistence.KindHead))) {
		t.Error("the head has changed")
	}

	options = on(vfs.NewMem(), newKeyFile(t))
	options.ReadOnly = true
	_, err := sealing.Open(ctx, options)
	wantStoreError(t, err, fs.ErrNotExist)
}

// TestDirectoryThatOthersMayEnterIsRefused is T47.
func TestDirectoryThatOthersMayEnterIsRefused(t *testing.T) {
	options := onDisk(t)
	ok(t, os.Mkdir(options.Dir, 0o755))
	store := open(t, options)
	info, err := os.Stat(options.Dir)
	ok(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the empty directory has become %v", info.Mode())
	}
	put(t, store, named("a"), "1")
	shut(t, store)
	for _, name := range []string{"keyring", "anchor"} {
		info, err := os.Stat(filepath.Join(options.Dir, name))
		ok(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	for _, name := range []string{"", "keyring", "anchor", "records"} {
		path := filepath.Join(options.Dir, name)
		info, err := os.Stat(path)
		ok(t, err)
		ok(t, os.Chmod(path, info.Mode().Perm()|0o040))
		_, err = sealing.Open(t.Context(), options)
		wantStoreError(t, err, persistence.ErrPermission)
		ok(t, os.Chmod(path, info.Mode().Perm()))
	}
	shut(t, open(t, options))
}

// TestSecondProcessIsRefused is T09: the lock is that of the records.
func TestSecondProcessIsRefused(t *testing.T) {
	options := onDisk(t)
	store := open(t, options)
	put(t, store, named("a"), "1")
	_, err := sealing.Open(t.Context(), options)
	wantStoreError(t, err, persistence.ErrLocked)
	put(t, store, named("b"), "2")
	shut(t, store)
	store = open(t, options)
	has(t, store, named("b"), "2")
	shut(t, store)
}

// TestCancelledOpenIsTheContexts: a context that has ended is no failure of the
// store.
func TestCancelledOpenIsTheContexts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sealing.Open(ctx, on(vfs.NewMem(), newKeyFile(t))); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// torn shows a keyring damaged as often as it says, as one looks that is being written.
type torn struct {
	cell.FS
	times int
}

func (f *torn) Open(name string) (cell.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || filepath.Base(name) != "keyring" || f.times == 0 {
		return file, err
	}
	f.times--
	return tornFile{file}, nil
}

type tornFile struct{ cell.File }

func (f tornFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	clear(b[:n])
	return n, err
}

// A keyring that is written by who has the store is not called corrupt: the store is in
// use. One that stays damaged is.
func TestKeyringThatIsBeingWrittenIsReadAgain(t *testing.T) {
	options := on(vfs.NewMem(), newKeyFile(t))
	store := open(t, options)
	below := options.Files
	options.Files = &torn{below, 2}
	_, err := sealing.Open(t.Context(), options)
	wantStoreError(t, err, persistence.ErrLocked)
	options.Files = &torn{below, 1 << 20}
	_, err = sealing.Open(t.Context(), options)
	wantStoreError(t, err, persistence.ErrCorrupt)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
