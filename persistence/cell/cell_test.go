package cell_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

const (
	name      = "cell"
	slotBytes = 4096
)

// value is one that cannot turn up by chance.
func value(i int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "value %03d.", i), 100+i%7)
}

func mustCreate(tb testing.TB, on cell.FS, value []byte) *cell.Cell {
	tb.Helper()
	c, err := cell.Create(on, name, value)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func mustReplace(tb testing.TB, c *cell.Cell, value []byte) {
	tb.Helper()
	if err := c.Replace(value); err != nil {
		tb.Fatal(err)
	}
}

// mustHold opens a cell and wants a value in it.
func mustHold(tb testing.TB, on cell.FS, want []byte) *cell.Cell {
	tb.Helper()
	c, got, err := cell.Open(on, name)
	if err != nil {
		tb.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		tb.Fatalf("the cell holds %.10q, want %.10q", got, want)
	}
	return c
}

func TestOpenGivesTheNewestValue(t *testing.T) {
	disk := celltest.NewDisk()
	mustCreate(t, disk, value(0))
	for i := 1; i < 10; i++ {
		c := mustHold(t, disk, value(i-1))
		for range i % 3 { // from either slot
			mustReplace(t, c, []byte("in between"))
		}
		mustReplace(t, c, value(i))
	}
	mustHold(t, disk, value(9))
}

func TestLengthsOfValues(t *testing.T) {
	disk := celltest.NewDisk()
	if _, err := cell.Create(disk, name, make([]byte, cell.MaxValue+1)); !errors.Is(err, cell.ErrTooLong) {
		t.Fatalf("created with a value that is too long: %v", err)
	}
	if files := disk.Files(); len(files) != 0 {
		t.Fatalf("a refused value has made %q", files)
	}
	c := mustCreate(t, disk, nil)
	mustHold(t, disk, nil)
	for _, length := range []int{cell.MaxValue, 1, 0, cell.MaxValue - 1} {
		want := bytes.Repeat([]byte{0xff}, length)
		mustReplace(t, c, want)
		mustHold(t, disk, want)
		if err := c.Replace(make([]byte, cell.MaxValue+1)); !errors.Is(err, cell.ErrTooLong) {
			t.Fatalf("replaced by a value that is too long: %v", err)
		}
		mustHold(t, disk, want)
	}
}

func TestCreateLeavesAnExistingCellAlone(t *testing.T) {
	disk := celltest.NewDisk()
	mustCreate(t, disk, value(1))
	before := disk.Content(name)
	if _, err := cell.Create(disk, name, value(2)); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(disk.Content(name), before) || len(disk.Files()) != 1 {
		t.Error("the file has changed")
	}
}

func TestOpenWithoutAFile(t *testing.T) {
	disk := celltest.NewDisk()
	if _, _, err := cell.Open(disk, name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	if len(disk.Files()) != 0 {
		t.Error("Open has made a file")
	}
}

func TestDestroyLeavesNoByteOfOlderValues(t *testing.T) {
	disk := celltest.NewDisk()
	c := mustCreate(t, disk, bytes.Repeat([]byte("long ago"), cell.MaxValue/8))
	mustReplace(t, c, bytes.Repeat([]byte("older"), cell.MaxValue/5))
	newest := []byte("newest")
	mustReplace(t, c, newest) // shorter than what the slot has held
	if err := c.Destroy(); err != nil {
		t.Fatal(err)
	}
	for when, left := range map[string]*celltest.Disk{
		"as programs see it":        disk,
		"after a crash":             disk.Crash(func() bool { return false }),
		"after a crash that spares": disk.Crash(func() bool { return true }),
	} {
		content := left.Content(name)
		for _, gone := range []string{"long", "ago", "olde", "der"} {
			if bytes.Contains(content, []byte(gone)) {
				t.Errorf("%s: %q is still in the file", when, gone)
			}
		}
		if used := len(bytes.TrimRight(bytes.TrimLeft(content, "\x00"), "\x00")); used > slotBytes {
			t.Errorf("%s: both slots are in use", when)
		}
		mustHold(t, left, newest)
	}
}

func TestDestroyWritesNothingWhenThereIsNothing(t *testing.T) {
	disk := celltest.NewDisk()
	c := mustCreate(t, disk, value(0))
	mustReplace(t, c, value(1))
	if err := c.Destroy(); err != nil {
		t.Fatal(err)
	}
	disk.Before = func(operation string) error { return fmt.Errorf("there is a %s", operation) }
	if err := c.Destroy(); err != nil {
		t.Error(err)
	}
}

func TestReplaceCostsOneWriteAndOneSync(t *testing.T) {
	disk := celltest.NewDisk()
	c := mustCreate(t, disk, value(0))
	var operations []string
	disk.Before = func(operation string) error {
		operations = append(operations, operation)
		return nil
	}
	mustReplace(t, c, value(1))
	if got := strings.Join(operations, ", "); got != "write, sync" {
		t.Errorf("one Replace is %s", got)
	}
}

// T05 for cells: any flipped bit of the only value is found, and one of the
// newer of two leaves the older one or is found.
func TestEveryFlippedBitIsFound(t *testing.T) {
	disk := celltest.NewDisk()
	c := mustCreate(t, disk, value(0))
	mustReplace(t, c, value(1)) // into the second slot
	both := disk.Content(name)
	if err := c.Destroy(); err != nil {
		t.Fatal(err)
	}
	alone := disk.Content(name)
	for at := range 2 * slotBytes {
		bit := byte(1) << (at % 8)
		damaged := celltest.NewDisk()
		flipped := bytes.Clone(alone)
		flipped[at] ^= bit
		damaged.Put(name, flipped)
		if at < slotBytes { // in the destroyed slot
			mustHold(t, damaged, value(1))
		} else if _, got, err := cell.Open(damaged, name); !errors.Is(err, persistence.ErrCorrupt) {
			t.Fatalf("bit %d of byte %d of the only value: %.10q, %v", at%8, at, got, err)
		}
		flipped = bytes.Clone(both)
		flipped[at] ^= bit
		damaged.Put(name, flipped)
		want := value(1)
		if at >= slotBytes {
			want = value(0)
		}
		mustHold(t, damaged, want)
	}
}

// T05, T07 for cells, torn writes: whatever prefix of a slot was written, the older
// value is there, or the new one once it is whole.
func TestATornSlotLeavesTheOlderValue(t *testing.T) {
	disk := celltest.NewDisk()
	c := mustCreate(t, disk, value(0))
	mustReplace(t, c, value(1))
	before := disk.Content(name)
	mustReplace(t, c, value(2))
	after := disk.Content(name)
	if !bytes.Equal(before[slotBytes:], after[slotBytes:]) {
		t.Fatal("Replace has touched the slot of the newest value")
	}
	for cut := range slotBytes + 1 {
		torn := celltest.NewDisk()
		torn.Put(name, append(bytes.Clone(after[:cut]), before[cut:]...))
		want := value(1)
		if bytes.Equal(torn.Content(name), after) {
			want = value(2)
		}
		again := mustHold(t, torn, want)
		if cut%512 == 0 {
			mustReplace(t, again, value(3))
			mustHold(t, torn, value(3))
		}
	}
}

func TestATruncatedFile(t *testing.T) {
	disk := celltest.NewDisk()
	c := mustCreate(t, disk, value(0))
	mustReplace(t, c, value(1))
	whole := disk.Content(name)
	for length := range whole {
		cut := celltest.NewDisk()
		cut.Put(name, whole[:length])
		if length >= slotBytes {
			mustHold(t, cut, value(0))
			continue
		}
		if _, _, err := cell.Open(cut, name); !errors.Is(err, persistence.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", length, err)
		}
	}
}

// T10 for cells.
func TestANewerFormatIsRefused(t *testing.T) {
	disk := celltest.NewDisk()
	c := mustCreate(t, disk, value(0))
	mustReplace(t, c, value(1))
	content := disk.Content(name)
	slot := content[slotBytes:]
	binary.BigEndian.PutUint32(slot[8:], 2)
	sum := sha256.Sum256(slot[:slotBytes-sha256.Size])
	copy(slot[slotBytes-sha256.Size:], sum[:])
	disk.Put(name, content)
	// Although the older slot is one that we know.
	if _, _, err := cell.Open(disk, name); !errors.Is(err, persistence.ErrNewerFormat) || errors.Is(err, persistence.ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(disk.Content(name), content) {
		t.Error("the file has changed")
	}
}

func TestErrorsNameTheFileAndNotTheValue(t *testing.T) {
	disk := celltest.NewDisk()
	c := mustCreate(t, disk, value(0))
	broken := errors.New("broken disk")
	disk.Before = func(string) error { return broken }
	_, _, openErr := cell.Open(disk, name)
	_, createErr := cell.Create(disk, "other", value(1))
	for doing, err := range map[string]error{
		"create": createErr, "open": openErr, "replace": c.Replace(value(2)), "destroy": c.Destroy(), "close": c.Close(),
	} {
		if doing == "destroy" && err == nil {
			t.Error("Destroy after a Replace that failed found nothing to do")
		}
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), doing+" cell ") {
			t.Errorf("%s: %v", doing, err)
		}
		if strings.Contains(fmt.Sprintf("%+v", err), "value 0") {
			t.Errorf("%s shows the value: %v", doing, err)
		}
	}
}
