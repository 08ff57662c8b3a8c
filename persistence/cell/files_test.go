//go:build unix

package cell_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
)

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestACellOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cell")
	if _, _, err := cell.Open(cell.OS, path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opened what is not there: %v", err)
	}
	c, err := cell.Create(cell.OS, path, value(0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		mustReplace(t, c, value(i))
		if i == 2 {
			if err := c.Destroy(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Replace(value(9)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a closed cell takes a value: %v", err)
	}
	c, got, err := cell.Open(cell.OS, path)
	if err != nil || string(got) != string(value(4)) {
		t.Fatalf("the cell holds %.10q, %v", got, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := cell.Create(cell.OS, path, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created over one that is there: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the cell there is %v, %v", left, err)
	}
}

// T47 for cells.
func TestCellsArePrivateWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		path := filepath.Join(t.TempDir(), "cell")
		before := syscall.Umask(umask)
		c, err := cell.Create(cell.OS, path, value(0))
		syscall.Umask(before)
		if err != nil {
			t.Fatalf("umask %04o: %v", umask, err)
		}
		if mode := modeOf(t, path); mode != 0o600 {
			t.Errorf("umask %04o: mode %04o", umask, mode)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// T47 for cells.
func TestACellThatOthersMayReachIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cell")
	c, err := cell.Create(cell.OS, path, value(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o700, 0o600} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		c, _, err := cell.Open(cell.OS, path)
		if refused := mode&0o077 != 0; refused != errors.Is(err, persistence.ErrPermission) || refused == (err == nil) {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if err == nil {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got := modeOf(t, path); got != mode {
			t.Errorf("opening has changed the mode from %04o to %04o", mode, got)
		}
	}
}

// What a crash in an earlier Create has left is used up, unless others may have
// put it there.
func TestALeftOverOfCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cell")
	if err := os.WriteFile(path+".new", make([]byte, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := cell.Create(cell.OS, path, value(0)); !errors.Is(err, persistence.ErrPermission) {
		t.Fatalf("got %v", err)
	}
	if err := os.Chmod(path+".new", 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := cell.Create(cell.OS, path, value(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestADirectoryIsNoCell(t *testing.T) {
	if _, _, err := cell.Open(cell.OS, t.TempDir()); err == nil {
		t.Fatal("a directory was opened")
	}
}
