package pebble_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/pebble/faultydisk"
)

// refused opens and checks what the refusal says.
func refused(t *testing.T, dir string, options pebble.Options, want error) {
	t.Helper()
	store, err := pebble.Open(dir, options)
	if err == nil {
		shut(t, store)
		t.Fatalf("opened, want %v", want)
	}
	var told *persistence.StoreError
	if !errors.As(err, &told) || !errors.Is(told.Kind, want) || told.Path != dir || told.Op != "open" {
		t.Fatalf("got %v, want %v for %s", err, want, dir)
	}
}

// TestFilesArePrivate is T47: whatever the umask, nobody else reads the store.
func TestFilesArePrivate(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o277} {
		t.Run(fmt.Sprintf("umask=%03o", umask), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "parent", "store")
			before := syscall.Umask(umask)
			defer syscall.Umask(before)
			seen := make(map[string]bool)
			check := func() {
				t.Helper()
				err := filepath.WalkDir(filepath.Dir(dir), func(path string, entry fs.DirEntry, err error) error {
					if errors.Is(err, fs.ErrNotExist) {
						return nil // a compaction has removed it meanwhile
					}
					if err != nil {
						return err
					}
					info, err := entry.Info()
					if errors.Is(err, fs.ErrNotExist) {
						return nil
					}
					if err != nil {
						return err
					}
					want := fs.FileMode(0o600)
					if entry.IsDir() {
						want = 0o700
					}
					// A file that a compaction is just making may still lack what
					// the umask took; it must never have more.
					for end := time.Now().Add(time.Minute); time.Now().Before(end); {
						if info.Mode().Perm() == want || info.Mode().Perm()&^want != 0 {
							break
						}
						time.Sleep(10 * time.Millisecond)
						if info, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) {
							return nil
						} else if err != nil {
							return err
						}
					}
					if info.Mode().Perm() != want {
						t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
					}
					seen[filepath.Ext(path)] = true
					seen[entry.Name()] = true
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			options := small(vfs.Default)
			options.MemTableBytes = 8 << 10
			for range 2 {
				store, err := pebble.Open(dir, options)
				if err != nil {
					t.Fatal(err)
				}
				for i := range 60 {
					if err := store.Apply(t.Context(), pair(i)); err != nil {
						t.Fatal(err)
					}
				}
				check()
				shut(t, store)
				check()
			}
			for _, kind := range []string{".log", ".sst", "LOCK", "CLOSED", "store"} {
				if !seen[kind] {
					t.Errorf("no %s was checked", kind)
				}
			}
		})
	}
}

// TestDirectoryThatOthersReadIsRefused is T47 for a directory that was there.
func TestDirectoryThatOthersReadIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	store, err := pebble.Open(dir, pebble.Options{}) // empty: nothing was exposed
	if err != nil {
		t.Fatal(err)
	}
	shut(t, store)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("an empty directory was left at %v, %v", info.Mode(), err)
	}
	for _, mode := range []fs.FileMode{0o740, 0o701, 0o720, 0o755} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, pebble.Options{}, persistence.ErrPermission)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if store, err = pebble.Open(dir, pebble.Options{}); err != nil {
		t.Fatal(err)
	}
	shut(t, store)
}

func TestPathThatIsNoDirectoryIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, file, pebble.Options{}, persistence.ErrNotDirectory)
	refused(t, filepath.Join(file, "store"), pebble.Options{}, persistence.ErrNotDirectory)
}

func TestMissingPermissionIsToldAsSuch(t *testing.T) {
	for _, kind := range []errorfs.OpReadWrite{errorfs.OpIsRead, errorfs.OpIsWrite} {
		denied := faultydisk.New(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == kind {
				return &fs.PathError{Op: "open", Path: op.Path, Err: syscall.EACCES}
			}
			return nil
		}))
		refused(t, "store", pebble.Options{FS: denied}, persistence.ErrPermission)
	}
}

func TestNewerFormatIsToldAsSuch(t *testing.T) {
	disk := written(t, 3, true, small)
	replace(t, disk, "store/marker.format-version.000099.999", nil)
	refused(t, "store", small(disk), persistence.ErrNewerFormat)
	if err := disk.Remove("store/marker.format-version.000099.999"); err != nil {
		t.Fatal(err)
	}
	if err := opened(t, disk, 3); err != nil {
		t.Fatalf("the refusal has changed the store: %v", err)
	}
}

// childDir tells a child process of TestOneProcessAtATime where the store is.
const childDir = "ROOKERY_TEST_STORE"

// TestOneProcessAtATime is T09: a second Open of a directory fails, in this
// process and from another one, and changes nothing.
func TestOneProcessAtATime(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		refused(t, dir, pebble.Options{}, persistence.ErrLocked)
		return
	}
	dir := filepath.Join(t.TempDir(), "store")
	store, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneProcessAtATime$")
	child.Env = append(os.Environ(), childDir+"="+dir)
	if output, err := child.CombinedOutput(); err != nil {
		t.Errorf("another process: %v\n%s", err, output)
	}
	refused(t, dir, pebble.Options{}, persistence.ErrLocked)
	if err := store.Apply(t.Context(), pair(0)); err != nil {
		t.Error(err)
	}
	shut(t, store)
	if store, err = pebble.Open(dir, pebble.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := survivors(t.Context(), store, 1, 1); err != nil {
		t.Error(err)
	}
	shut(t, store)
}

// TestLogsHoldNoValues is T48 for the store: at debug level, through flushes,
// compactions, a failing disk and a reopening.
func TestLogsHoldNoValues(t *testing.T) {
	const secret = "PRIVATE-VALUE"
	var log bytes.Buffer // slog's handler orders its writes
	disk := vfs.NewMem()
	broken := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.EIO
		}
		return nil
	})}
	options := small(faultydisk.New(disk, broken))
	options.MemTableBytes = 8 << 10
	options.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	record := func(i int) persistence.Batch {
		return persistence.Batch{Records: []persistence.Record{{Name: numbered(i % 20), Value: []byte(strings.Repeat(secret, 20))}}}
	}
	store, err := pebble.Open("store", options)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := store.Apply(t.Context(), record(i)); err != nil {
			t.Fatal(err)
		}
	}
	broken.On()
	err = store.Apply(t.Context(), record(0))
	if !errors.Is(err, persistence.ErrFailed) {
		t.Fatalf("a broken disk gives %v, want ErrFailed", err)
	}
	shut(t, store)
	if store, err = pebble.Open("store", small(disk)); err != nil {
		t.Fatal(err)
	}
	shut(t, store)
	text := log.String()
	if !strings.Contains(text, "store has failed") {
		t.Errorf("the failure is not in the log:\n%s", text)
	}
	for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
		if strings.Contains(text, form) {
			t.Errorf("the log holds a value: %s", form)
		}
	}
}

// treeOf is every file in a directory with its content.
func treeOf(t *testing.T, disk vfs.FS) map[string]string {
	t.Helper()
	names, err := disk.List("store")
	if err != nil {
		t.Fatal(err)
	}
	tree := make(map[string]string)
	for _, name := range names {
		tree[name] = string(contentOf(t, disk, path.Join("store", name)))
	}
	return tree
}

// TestReadOnlyStoreChangesNothing: of a closed store and of a killed one, which
// still has its seal or its log.
func TestReadOnlyStoreChangesNothing(t *testing.T) {
	const batches = 300
	for _, closed := range []bool{true, false} {
		disk := written(t, batches, closed, small)
		before := treeOf(t, disk)
		options := small(disk)
		options.ReadOnly = true
		store, err := pebble.Open("store", options)
		if err != nil {
			t.Fatal(err)
		}
		if err := survivors(t.Context(), store, batches, batches); err != nil {
			t.Errorf("closed %t: %v", closed, err)
		}
		refused(t, "store", small(disk), persistence.ErrLocked)
		if err := store.Apply(t.Context(), pair(0)); !errors.Is(err, persistence.ErrReadOnly) {
			t.Errorf("closed %t: a batch: %v, want ErrReadOnly", closed, err)
		}
		if _, err := store.Own(t.Context(), persistence.OwnerID{1}); !errors.Is(err, persistence.ErrReadOnly) {
			t.Errorf("closed %t: an owner: %v, want ErrReadOnly", closed, err)
		}
		shut(t, store)
		if after := treeOf(t, disk); !maps.Equal(before, after) {
			t.Errorf("closed %t: the files have changed from %q to %q", closed, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
		}
		if err := opened(t, disk, batches); err != nil {
			t.Errorf("closed %t: %v", closed, err)
		}
	}
	empty := vfs.NewMem()
	refused(t, "store", pebble.Options{FS: empty, ReadOnly: true}, fs.ErrNotExist)
	if _, err := empty.Stat("store"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store was made: %v", err)
	}
	damaged := written(t, batches, true, small)
	replace(t, damaged, "store/CLOSED", []byte("other sums"))
	refused(t, "store", pebble.Options{FS: damaged, ReadOnly: true}, persistence.ErrCorrupt)
}

// TestReadOnlyDiskIsToldAsSuch: a store cannot be opened to write there.
func TestReadOnlyDiskIsToldAsSuch(t *testing.T) {
	for _, there := range []bool{true, false} {
		disk := vfs.NewMem()
		if there {
			store, err := pebble.Open("store", small(disk))
			if err != nil {
				t.Fatal(err)
			}
			shut(t, store)
		}
		refused(t, "store", small(faultydisk.New(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.EROFS}
			}
			return nil
		}))), persistence.ErrReadOnly)
	}
}
