package goldenstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// TestNewerFormatsAreRefused (T10): whichever file of a store says that a newer
// release has written it, the store is refused as that and not as damaged, for
// reading too.
func TestNewerFormatsAreRefused(t *testing.T) {
	const valueAt = 24 // in a slot of a cell
	for _, c := range []struct {
		name  string
		newer func(t *testing.T, dir string)
	}{
		{"cell of the keyring", func(t *testing.T, dir string) { eachSlot(t, filepath.Join(dir, "keyring"), 8, 4) }},
		{"keyring", func(t *testing.T, dir string) { eachSlot(t, filepath.Join(dir, "keyring"), valueAt+8, 2) }},
		{"cell of the anchor", func(t *testing.T, dir string) { eachSlot(t, filepath.Join(dir, "anchor"), 8, 4) }},
		{"anchor", func(t *testing.T, dir string) { eachSlot(t, filepath.Join(dir, "anchor"), valueAt, 4) }},
		{"sum of a manifest", func(t *testing.T, dir string) {
			eachSlot(t, newest(t, filepath.Join(dir, "records", "sum.MANIFEST-*")), 8, 4)
		}},
		{"database", func(t *testing.T, dir string) {
			marker := newest(t, filepath.Join(dir, "records", "marker.format-version.*"))
			if err := os.Rename(marker, marker[:strings.LastIndexByte(marker, '.')]+".999"); err != nil {
				t.Fatal(err)
			}
		}},
		{"head", newerHead},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copied(t, filepath.Join(stores, current))
			c.newer(t, filepath.Join(dir, storeDir))
			if store, err := openReadOnly(t, dir); !errors.Is(err, persistence.ErrNewerFormat) {
				t.Errorf("to read: %v, %v", store, err)
			}
			engine, err := rookery.Open(t.Context(), rookery.Options{
				Dir: filepath.Join(dir, storeDir), Unlock: keyring.KeyFile(filepath.Join(dir, keyFile)), Transport: newAir(),
			})
			if !errors.Is(err, persistence.ErrNewerFormat) {
				t.Errorf("by an engine: %v, %v", engine, err)
			}
		})
	}
}

// TestNewerBackupIsRefused (T10), and leaves no store.
func TestNewerBackupIsRefused(t *testing.T) {
	golden := filepath.Join(stores, current)
	key, err := os.ReadFile(filepath.Join(golden, backupKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.ParseX25519Identity(strings.TrimSpace(string(key)))
	if err != nil {
		t.Fatal(err)
	}
	saved, err := os.ReadFile(filepath.Join(golden, backupFile))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := age.Decrypt(bytes.NewReader(saved), identity)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(opened)
	if err != nil {
		t.Fatal(err)
	}
	for what, at := range map[string]int{"format": len("rookery backup"), "store format": len("rookery backup") + 2} {
		t.Run(what, func(t *testing.T) {
			newer := bytes.Clone(content)
			newer[at+1]++
			var again bytes.Buffer
			w, err := age.Encrypt(&again, identity.Recipient())
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Write(newer)
			if err := errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), storeDir)
			_, err = rookery.Restore(t.Context(), rookery.Options{Dir: dir, Unlock: rookery.Passphrase("x")}, &again, identity)
			if !errors.Is(err, persistence.ErrNewerFormat) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the store is there: %v", err)
			}
		})
	}
}

// newest gives the last of the files that match.
func newest(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names[len(names)-1]
}

// eachSlot adds one to a number of size bytes in every slot of a cell that is
// intact, as its writer would.
func eachSlot(t *testing.T, path string, at, size int) {
	t.Helper()
	const slotBytes, sumAt = 4096, 4096 - sha256.Size
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := false
	for slot := range slices.Chunk(content, slotBytes) {
		if sum := sha256.Sum256(slot[:sumAt]); !bytes.Equal(sum[:], slot[sumAt:]) {
			continue
		}
		slot[at+size-1]++
		sum := sha256.Sum256(slot[:sumAt])
		copy(slot[sumAt:], sum[:])
		changed = true
	}
	if !changed {
		t.Fatalf("%s has no slot that is intact", path)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newerHead seals the head anew with a newer format in it.
func newerHead(t *testing.T, dir string) {
	t.Helper()
	ring, err := keyring.Open(filepath.Join(dir, "keyring"), keyring.KeyFile(filepath.Join(dir, "..", keyFile)), keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	records, err := pebble.Open(filepath.Join(dir, "records"), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name := persistence.NewName(persistence.KindHead)
	sealed, err := records.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	const headerBytes = 13 // format, epoch, sequence
	header := sealed[:headerBytes]
	key, found := ring.AEAD(binary.BigEndian.Uint32(header[1:]))
	if !found {
		t.Fatal("the head is sealed under no key of the ring")
	}
	nonce := func() []byte { return append(make([]byte, 4), header[5:]...) }
	head, err := key.Open(nil, nonce(), sealed[headerBytes:], append(bytes.Clone(header), name...))
	if err != nil {
		t.Fatal(err)
	}
	head[3]++
	binary.BigEndian.PutUint64(header[5:], math.MaxUint64) // one that no other value has
	value := key.Seal(bytes.Clone(header), nonce(), head, append(bytes.Clone(header), name...))
	batch := persistence.Batch{Head: true, Records: []persistence.Record{{Name: name, Value: value}}}
	if err := errors.Join(records.Apply(t.Context(), batch), records.Close(), ring.Close()); err != nil {
		t.Fatal(err)
	}
}
