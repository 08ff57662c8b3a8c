package keyring

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

var errSource = errors.New("source failed")

// endless is a source that gives any number of bytes and counts them.
type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	e.given += len(p)
	return seeded(byte(e.given)).Read(p)
}

// sources gives, for every number of bytes below need, one that ends and one
// that fails after so many.
func sources(need int) map[io.Reader]error {
	all := make(map[io.Reader]error)
	for n := range need {
		all[io.LimitReader(seeded(7), int64(n))] = io.EOF
		all[iotest.OneByteReader(io.MultiReader(io.LimitReader(seeded(7), int64(n)), iotest.ErrReader(errSource)))] = errSource
	}
	return all
}

// fromSource tells whether an error is that of a source.
func fromSource(err, want error) bool {
	return errors.Is(err, want) || errors.Is(want, io.EOF) && errors.Is(err, io.ErrUnexpectedEOF)
}

// T51: a source that fails or ends at any byte gives an error, and neither a
// keyring nor a key file.
func TestWithoutRandomnessNothingIsMade(t *testing.T) {
	whole := &endless{}
	o := onDisk(celltest.NewDisk(), 0)
	o.Random = whole
	mustCreate(t, newKeyFile(t), o)
	// Store id, anchor, epoch, nonce, salt, key file.
	if want := 16 + 32 + 32 + 24 + 16 + 32; whole.given != want {
		t.Fatalf("a new keyring takes %d random bytes, want %d", whole.given, want)
	}
	dir := t.TempDir()
	for source, want := range sources(whole.given) {
		disk := celltest.NewDisk()
		o := onDisk(disk, 0)
		o.Random = source
		if _, err := Create(ringName, KeyFile(filepath.Join(dir, "key")), o); !fromSource(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
		if files := disk.Files(); len(files) != 0 {
			t.Fatalf("it has made %q", files)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("it has made %v, %v", left, err)
	}
}

// T51: nor is a keyring changed.
func TestWithoutRandomnessNothingIsChanged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new")
	for name, c := range map[string]struct {
		need   int
		change func(*Keyring) error
	}{
		"begin":         {24 + 32, func(k *Keyring) error { _, err := k.Begin(); return err }},
		"retire":        {24, func(k *Keyring) error { return k.Retire(2) }},
		"set protector": {24 + 16 + 32, func(k *Keyring) error { return k.SetProtector(KeyFile(path)) }},
	} {
		disk, p := celltest.NewDisk(), newKeyFile(t)
		k := mustCreate(t, p, onDisk(disk, 1))
		mustBegin(t, k)
		before, held := disk.Content(ringName), keys(k)
		for source, want := range sources(c.need) {
			k.options.Random = source
			if err := c.change(k); !fromSource(err, want) {
				t.Fatalf("%s: got %v, want %v", name, err, want)
			}
			if !bytes.Equal(disk.Content(ringName), before) || len(keys(k)) != len(held) {
				t.Fatalf("%s has changed the keyring", name)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Fatalf("%s has made %v, %v", name, left, err)
		}
		whole := &endless{}
		k.options.Random = whole
		if err := c.change(k); err != nil || whole.given != c.need {
			t.Errorf("%s with %d random bytes, want %d: %v", name, whole.given, c.need, err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}
