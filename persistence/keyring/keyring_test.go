package keyring

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

const ringName = "keyring"

// noon is when the tests take place.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 5, time.UTC)

// seeded gives randomness that repeats.
func seeded(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// onDisk gives options for a disk in memory.
func onDisk(disk *celltest.Disk, seed byte) Options {
	return Options{FS: disk, Random: seeded(seed), Now: func() time.Time { return noon }}
}

// newKeyFile gives a protector that costs no time.
func newKeyFile(tb testing.TB) Protector {
	tb.Helper()
	return KeyFile(filepath.Join(tb.TempDir(), "key"))
}

func mustCreate(tb testing.TB, p Protector, o Options) *Keyring {
	tb.Helper()
	k, err := Create(ringName, p, o)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustOpen(tb testing.TB, p Protector, o Options) *Keyring {
	tb.Helper()
	k, err := Open(ringName, p, o)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustBegin(tb testing.TB, k *Keyring) Epoch {
	tb.Helper()
	begun, err := k.Begin()
	if err != nil {
		tb.Fatal(err)
	}
	return begun
}

func mustRetire(tb testing.TB, k *Keyring, keep uint32) {
	tb.Helper()
	if err := k.Retire(keep); err != nil {
		tb.Fatal(err)
	}
}

// keys gives copies of the keys in a keyring by epoch, that of the anchor as 0.
func keys(k *Keyring) map[uint32][secret.KeySize]byte {
	c := k.content.Load()
	all := map[uint32][secret.KeySize]byte{0: c.anchor.Array()}
	for _, e := range c.epochs {
		all[e.ID] = e.key.Array()
	}
	return all
}

// sameKeyring compares all that two keyrings hold.
func sameKeyring(a, b *Keyring) bool {
	return a.StoreID() == b.StoreID() && reflect.DeepEqual(a.Epochs(), b.Epochs()) && reflect.DeepEqual(keys(a), keys(b))
}

func mustAEAD(tb testing.TB, k *Keyring, id uint32) cipher.AEAD {
	tb.Helper()
	aead, ok := k.AEAD(id)
	if !ok {
		tb.Fatalf("no key for epoch %d", id)
	}
	return aead
}

func TestOpenGivesWhatWasMade(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	made := mustCreate(t, p, onDisk(disk, 1))
	if want := (Epoch{ID: 1, Created: noon}); made.Current() != want || !reflect.DeepEqual(made.Epochs(), []Epoch{want}) {
		t.Fatalf("a new keyring has %+v, current %+v", made.Epochs(), made.Current())
	}
	for range 3 {
		begun := mustBegin(t, made)
		if begun != made.Current() || !begun.Created.Equal(noon) {
			t.Fatalf("begun %+v, current %+v", begun, made.Current())
		}
	}
	mustRetire(t, made, 3)
	opened := mustOpen(t, p, onDisk(disk, 2))
	if !sameKeyring(made, opened) {
		t.Fatalf("made with %+v, opened with %+v", made.Epochs(), opened.Epochs())
	}
	anchor, again := made.AnchorKey(), opened.AnchorKey()
	if anchor.IsZero() || !anchor.Equal(&again) {
		t.Error("the anchor has another key")
	}
	nonce, ad := make([]byte, 12), []byte("name")
	for _, e := range made.Epochs() {
		sealed := mustAEAD(t, made, e.ID).Seal(nil, nonce, []byte("text"), ad)
		text, err := mustAEAD(t, opened, e.ID).Open(nil, nonce, sealed, ad)
		if err != nil || string(text) != "text" {
			t.Errorf("epoch %d: %q, %v", e.ID, text, err)
		}
	}
}

func TestEveryKeyIsItsOwn(t *testing.T) {
	p := newKeyFile(t)
	seen := make(map[[secret.KeySize]byte]string)
	for seed := range byte(2) {
		k := mustCreate(t, p, onDisk(celltest.NewDisk(), seed))
		mustBegin(t, k)
		for id, key := range keys(k) {
			here := fmt.Sprintf("keyring %d, epoch %d", seed, id)
			if there, twice := seen[key]; twice {
				t.Errorf("%s has the key of %s", here, there)
			}
			seen[key] = here
		}
	}
}

func TestEpochIDsOnlyGrow(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	k := mustCreate(t, p, onDisk(disk, 1))
	for want := uint32(2); want < 3*MaxEpochs; want++ {
		if begun := mustBegin(t, k); begun.ID != want {
			t.Fatalf("epoch %d, want %d", begun.ID, want)
		}
		mustRetire(t, k, want)
		if got := k.Epochs(); len(got) != 1 {
			t.Fatalf("after retiring all but %d there is %+v", want, got)
		}
		k = mustOpen(t, p, onDisk(disk, byte(want)))
	}
}

func TestTheNumberOfEpochsIsBounded(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	k := mustCreate(t, p, onDisk(disk, 1))
	for range MaxEpochs - 1 {
		mustBegin(t, k)
	}
	before := disk.Content(ringName)
	if _, err := k.Begin(); !errors.Is(err, ErrTooManyEpochs) {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(disk.Content(ringName), before) || k.Current().ID != MaxEpochs {
		t.Error("a refused epoch has changed something")
	}
	if again := mustOpen(t, p, onDisk(disk, 2)); !sameKeyring(k, again) {
		t.Error("a full keyring is not read as it was written")
	}
	mustRetire(t, k, 2)
	mustBegin(t, k)
}

func TestRetireKeepsWhatItIsTold(t *testing.T) {
	for keep, want := range map[uint32]int{0: 4, 1: 4, 2: 3, 4: 1} {
		disk, p := celltest.NewDisk(), newKeyFile(t)
		k := mustCreate(t, p, onDisk(disk, 1))
		for range 3 {
			mustBegin(t, k)
		}
		mustRetire(t, k, keep)
		if got := k.Epochs(); len(got) != want || got[len(got)-1].ID != 4 {
			t.Errorf("keep %d: %+v", keep, got)
		}
		for id := uint32(1); id <= 4; id++ {
			if _, ok := k.AEAD(id); ok != (id >= keep) {
				t.Errorf("keep %d: there is a key for %d: %v", keep, id, ok)
			}
		}
	}
}

func TestTheCurrentEpochIsNotRetired(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	k := mustCreate(t, p, onDisk(disk, 1))
	mustBegin(t, k)
	before := disk.Content(ringName)
	if err := k.Retire(3); !errors.Is(err, ErrNoEpoch) {
		t.Fatalf("got %v", err)
	}
	if !bytes.Equal(disk.Content(ringName), before) || len(k.Epochs()) != 2 {
		t.Error("a refused retirement has changed something")
	}
}

func TestRetireWipesTheKeysInMemory(t *testing.T) {
	k := mustCreate(t, newKeyFile(t), onDisk(celltest.NewDisk(), 1))
	retired := k.content.Load().epochs[0].key
	mustBegin(t, k)
	if retired.IsZero() {
		t.Fatal("the key of an older epoch is gone before it was retired")
	}
	mustRetire(t, k, 2)
	if !retired.IsZero() {
		t.Error("the key of a retired epoch is still in memory")
	}
}

func TestReloadSeesWhatAnotherProcessHasDone(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	mine := mustCreate(t, p, onDisk(disk, 1))
	other := mustOpen(t, p, onDisk(disk, 2))
	for range 3 {
		mustBegin(t, other)
	}
	mustRetire(t, other, 3)
	if err := mine.Reload(); err != nil {
		t.Fatal(err)
	}
	if !sameKeyring(mine, other) {
		t.Fatalf("reloaded %+v, want %+v", mine.Epochs(), other.Epochs())
	}
	if begun := mustBegin(t, mine); begun.ID != 5 {
		t.Errorf("the next epoch is %d", begun.ID)
	}
	if again := mustOpen(t, p, onDisk(disk, 3)); !sameKeyring(mine, again) {
		t.Error("what was begun after reloading is not on disk")
	}
	if err := other.SetProtector(newKeyFile(t)); err != nil {
		t.Fatal(err)
	}
	if err := mine.Reload(); !errors.Is(err, ErrWrongKey) {
		t.Errorf("reloaded with a key file that was changed: %v", err)
	}
}

func TestOpenAndReloadOnlyRead(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	mustBegin(t, mustCreate(t, p, onDisk(disk, 1)))
	disk.Before = func(operation string) error {
		switch operation {
		case "open", "read", "close":
			return nil
		}
		return fmt.Errorf("there is a %s", operation)
	}
	k := mustOpen(t, p, onDisk(disk, 2))
	if err := k.Reload(); err != nil {
		t.Error(err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsThereAndWhatIsNot(t *testing.T) {
	disk := celltest.NewDisk()
	path := filepath.Join(t.TempDir(), "key")
	if _, err := Open(ringName, KeyFile(path), onDisk(disk, 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opened no keyring: %v", err)
	}
	k := mustCreate(t, KeyFile(path), onDisk(disk, 1))
	before := disk.Content(ringName)
	if _, err := Create(ringName, KeyFile(path), onDisk(disk, 2)); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("created a keyring over another: %v", err)
	}
	if !bytes.Equal(disk.Content(ringName), before) {
		t.Error("the keyring has changed")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAClosedKeyringHoldsNothing(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	k := mustCreate(t, p, onDisk(disk, 1))
	held := k.content.Load()
	lock := k.key
	for range 2 {
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !held.anchor.IsZero() || !held.epochs[0].key.IsZero() || !lock.IsZero() {
		t.Error("a closed keyring has keys in memory")
	}
	if _, ok := k.AEAD(1); ok || k.Epochs() != nil || k.Current() != (Epoch{}) || k.StoreID() != [16]byte{} {
		t.Error("a closed keyring gives something")
	}
	if anchor := k.AnchorKey(); !anchor.IsZero() {
		t.Error("a closed keyring gives a key for the anchor")
	}
	_, begin := k.Begin()
	for doing, err := range map[string]error{
		"begin": begin, "retire": k.Retire(1), "set protector": k.SetProtector(p), "reload": k.Reload(),
	} {
		if !errors.Is(err, persistence.ErrClosed) {
			t.Errorf("%s: %v", doing, err)
		}
	}
}

// Readers in many goroutines see a current epoch with its key all the while.
func TestReadersDoNotWaitForWriters(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	k := mustCreate(t, p, onDisk(disk, 1))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				all := k.Epochs()
				if key := k.AnchorKey(); len(all) == 0 || key.IsZero() {
					t.Error("a keyring without an epoch or without a key for the anchor")
					return
				}
				if aead, ok := k.AEAD(k.Current().ID); ok {
					aead.Seal(nil, make([]byte, 12), nil, nil)
				}
			}
		})
	}
	for range 100 {
		mustBegin(t, k)
		mustRetire(t, k, k.Current().ID)
		if err := k.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
}
