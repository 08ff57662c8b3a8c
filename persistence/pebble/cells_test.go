package pebble_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// TestCellOnTheStoresFileSystemSurvivesCrashes: a cell has the value that was
// acknowledged last or the one that was being written, at every crash.
func TestCellOnTheStoresFileSystemSurvivesCrashes(t *testing.T) {
	const seed, values = 1, 12
	random := rand.New(rand.NewPCG(seed, 0))
	disk := vfs.NewCrashableMem()
	if err := errors.Join(disk.MkdirAll("dir", 0o700), pebble.Files(disk).SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	acknowledged, crashes := 0, 0
	watched := pebble.Files(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		for _, percent := range []int{0, 50, 100} {
			crashes++
			left := pebble.Files(disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random}))
			kept, value, err := cell.Open(left, "dir/cell")
			if acknowledged == 0 && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			got := 0
			if _, scanErr := fmt.Sscan(string(value), &got); err != nil || scanErr != nil || got < acknowledged || got > acknowledged+1 {
				t.Errorf("seed %d: a crash at %v with %d %% of the unsynced leaves %q, %v; %d was acknowledged", seed, op, percent, value, err, acknowledged)
			}
			if err == nil {
				_ = kept.Close()
			}
		}
		return nil
	})))
	one, err := cell.Create(watched, "dir/cell", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	for acknowledged = 1; acknowledged < values; acknowledged++ {
		if err := one.Replace(fmt.Append(nil, acknowledged+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if crashes < 3*values {
		t.Fatalf("only %d crashes", crashes)
	}
}

// TestFilesTellAsTheOperatingSystemDoes: the file system of a store is to cells
// what the operating system's is.
func TestFilesTellAsTheOperatingSystemDoes(t *testing.T) {
	memory := vfs.NewMem()
	if err := memory.MkdirAll("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		on  cell.FS
		dir string
	}{
		"operating system": {cell.OS, t.TempDir()},
		"store on disk":    {pebble.Files(vfs.Default), t.TempDir()},
		"store in memory":  {pebble.Files(memory), "dir"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(test.dir, "file")
			if _, err := test.on.Open(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("opening what is not there: %v", err)
			}
			if _, err := test.on.Open(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("opening has made it: %v", err)
			}
			made, err := test.on.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := made.WriteAt([]byte("abc"), 4); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(made.Sync(), made.Close(), test.on.SyncDir(test.dir)); err != nil {
				t.Fatal(err)
			}
			if _, err := test.on.Create(path); !errors.Is(err, fs.ErrExist) {
				t.Errorf("making it again: %v", err)
			}
			if err := test.on.Rename(path, path+"2"); err != nil {
				t.Fatal(err)
			}
			opened, err := test.on.Open(path + "2")
			if err != nil {
				t.Fatal(err)
			}
			content := make([]byte, 7)
			if _, err := opened.ReadAt(content, 0); err != nil || string(content) != "\x00\x00\x00\x00abc" {
				t.Errorf("got %q, %v", content, err)
			}
			if _, err := opened.WriteAt([]byte("x"), 0); err != nil {
				t.Error(err)
			}
			if err := opened.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCellFilesArePrivate is T47 for the cells of a store on disk.
func TestCellFilesArePrivate(t *testing.T) {
	before := syscall.Umask(0o277)
	defer syscall.Umask(before)
	name := filepath.Join(t.TempDir(), "cell")
	if err := os.Chmod(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	on := pebble.Files(vfs.Default)
	made, err := cell.Create(on, name, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v, want 0600", info.Mode(), err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := cell.Open(on, name); !errors.Is(err, persistence.ErrPermission) {
			t.Errorf("mode %04o: %v, want ErrPermission", mode, err)
		}
	}
}
