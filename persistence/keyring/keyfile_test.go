package keyring

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

func TestTheFirstCreateMakesTheKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	mustCreate(t, KeyFile(path), onDisk(celltest.NewDisk(), 1))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(strings.TrimSuffix(string(text), "\n"))
	if err != nil || len(key) != 32 || len(text) != 65 {
		t.Fatalf("it holds %q", text)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("beside it there is %v, %v", left, err)
	}
	// The next one uses it as it is.
	disk := celltest.NewDisk()
	mustCreate(t, KeyFile(path), onDisk(disk, 2))
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, text) {
		t.Errorf("it has changed: %v", err)
	}
	mustOpen(t, KeyFile(path), onDisk(disk, 3))
}

func TestOpenDoesNotMakeAKeyFile(t *testing.T) {
	disk := celltest.NewDisk()
	mustCreate(t, newKeyFile(t), onDisk(disk, 1))
	dir := t.TempDir()
	_, err := Open(ringName, KeyFile(filepath.Join(dir, "key")), onDisk(disk, 2))
	if !errors.Is(err, ErrKeyFile) {
		t.Fatalf("got %v", err)
	}
	// That would say that there is no keyring, and invite to make one.
	if errors.Is(err, fs.ErrNotExist) {
		t.Error("a missing key file reads as a missing keyring")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("it has made %v, %v", left, err)
	}
}

func TestAKeyFileInADirectoryThatIsMissing(t *testing.T) {
	disk := celltest.NewDisk()
	_, err := Create(ringName, KeyFile(filepath.Join(t.TempDir(), "missing", "key")), onDisk(disk, 1))
	if !errors.Is(err, ErrKeyFile) || errors.Is(err, fs.ErrNotExist) || len(disk.Files()) != 0 {
		t.Errorf("got %v, files %q", err, disk.Files())
	}
}

func TestAWrongKeyFile(t *testing.T) {
	disk := celltest.NewDisk()
	mustCreate(t, newKeyFile(t), onDisk(disk, 1))
	other := newKeyFile(t)
	mustCreate(t, other, onDisk(celltest.NewDisk(), 2))
	before := disk.Content(ringName)
	for _, wrong := range []Protector{other, Passphrase("text")} {
		if _, err := Open(ringName, wrong, onDisk(disk, 3)); !errors.Is(err, ErrWrongKey) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	if !bytes.Equal(disk.Content(ringName), before) {
		t.Error("the keyring has changed")
	}
}

func TestTheTextOfAKeyFile(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 4)
	for name, c := range map[string]struct {
		text string
		fine bool
	}{
		"one line":          {digits + "\n", true},
		"no end of line":    {digits, true},
		"another system's":  {digits + "\r\n", true},
		"upper case":        {strings.ToUpper(digits) + "\n", true},
		"empty":             {"", false},
		"one digit short":   {digits[1:] + "\n", false},
		"one digit more":    {digits + "0\n", false},
		"one byte short":    {digits[2:] + "\n", false},
		"one byte more":     {digits + "00\n", false},
		"two lines":         {digits + "\n\n", false},
		"more lines":        {digits + "\nand more\n", false},
		"a space before":    {" " + digits + "\n", false},
		"the key as it is":  {"abcdefghijklmnopqrstuvwxyz012345", false},
		"another letter":    {"x" + digits[1:] + "\n", false},
		"no key":            {strings.Repeat("0", 64) + "\n", false},
		"a very large file": {strings.Repeat(digits, 1<<14), false},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		disk := celltest.NewDisk()
		_, err := Create(ringName, KeyFile(path), onDisk(disk, 1))
		if c.fine != (err == nil) || !c.fine && !errors.Is(err, ErrKeyFile) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), digits[:8]) || strings.Contains(err.Error(), "'x'") || len(disk.Files()) != 0) {
			t.Errorf("%s: files %q, %v", name, disk.Files(), err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != c.text {
			t.Errorf("%s: the key file has changed", name)
		}
	}
}

// Whoever comes second takes the key of the first: a keyring is never sealed
// under a key whose file was replaced.
func TestKeyFilesThatAreMadeAtTheSameTime(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		got := make([][secret.KeySize]byte, 4)
		var makers sync.WaitGroup
		for i := range got {
			makers.Go(func() {
				if err := makeKeyFile(path, seeded(byte(i))); err != nil {
					t.Error(err)
					return
				}
				key, err := readKeyFile(path)
				if err != nil {
					t.Error(err)
				}
				got[i] = key.Array()
			})
		}
		makers.Wait()
		for i := range got {
			if got[i] != got[0] {
				t.Fatal("two keys were read from one file")
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Fatalf("beside it there is %v, %v", left, err)
		}
	}
}
