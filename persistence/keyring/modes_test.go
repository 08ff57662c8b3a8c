//go:build unix

package keyring

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rookery-im/rookery/persistence"
)

// T47 for keyrings: private whatever the umask, on a disk of the operating
// system with all defaults.
func TestFilesArePrivateWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		dir := t.TempDir()
		ring, key := filepath.Join(dir, "keyring"), filepath.Join(dir, "key")
		before := syscall.Umask(umask)
		k, err := Create(ring, KeyFile(key), Options{})
		if err == nil {
			_, err = k.Begin()
		}
		syscall.Umask(before)
		if err != nil {
			t.Fatalf("umask %04o: %v", umask, err)
		}
		for _, path := range []string{ring, key} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if mode := info.Mode(); mode != 0o600 {
				t.Errorf("umask %04o: %s has mode %v", umask, path, mode)
			}
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Open(ring, KeyFile(key), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// T47 for keyrings.
func TestFilesThatOthersMayReachAreRefused(t *testing.T) {
	dir := t.TempDir()
	ring, key := filepath.Join(dir, "keyring"), filepath.Join(dir, "key")
	k, err := Create(ring, KeyFile(key), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	for _, path := range []string{ring, key} {
		for _, mode := range []fs.FileMode{0o640, 0o604, 0o660, 0o601, 0o644} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(ring, KeyFile(key), Options{}); !errors.Is(err, persistence.ErrPermission) {
				t.Errorf("%s with mode %04o: %v", path, mode, err)
			}
		}
		if path == key {
			if err := k.SetProtector(KeyFile(key)); !errors.Is(err, persistence.ErrPermission) {
				t.Errorf("sealed under a key that others may have read: %v", err)
			}
			other := filepath.Join(dir, "other")
			if _, err := Create(other, KeyFile(key), Options{}); !errors.Is(err, persistence.ErrPermission) {
				t.Errorf("made with a key that others may have read: %v", err)
			}
			if _, err := os.Stat(other); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is there: %v", err)
			}
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// One that nobody may write is as good.
	if err := os.Chmod(key, 0o400); err != nil {
		t.Fatal(err)
	}
	again, err := Open(ring, KeyFile(key), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

// A pipe would keep the reader waiting for ever.
func TestAPipeIsNoKeyFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "key")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dir} {
		if _, err := Create(filepath.Join(dir, "keyring"), KeyFile(path), Options{}); !errors.Is(err, ErrKeyFile) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
