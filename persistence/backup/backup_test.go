package backup_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"filippo.io/age"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/backup"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/storetest"
)

// target is a store that remembers whether it was marked, and after how many
// batches.
type target struct {
	*storetest.Faulty
	marked int
	mark   error
}

func newTarget() *target { return &target{Faulty: storetest.NewFaulty(memory.New())} }

// MarkRestored implements backup.Target.
func (s *target) MarkRestored(context.Context) error {
	s.marked = len(s.Batches())
	return s.mark
}

func name(kind persistence.Kind, part string) persistence.Name {
	return persistence.NewName(kind, []byte(part))
}

var headName = persistence.NewName(persistence.KindHead)

func put(t *testing.T, store persistence.Store, records ...persistence.Record) {
	t.Helper()
	if err := store.Apply(t.Context(), persistence.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

// filled is a store with n records of all sizes, an identity, and what is the
// store's own.
func filled(t *testing.T, n int) *memory.Store {
	t.Helper()
	store := memory.New()
	for i := range n {
		put(t, store, persistence.Record{Name: name(persistence.KindSession, fmt.Sprint(i)), Value: bytes.Repeat([]byte{byte(i)}, i%700)})
	}
	put(t, store, persistence.Record{Name: name(persistence.KindIdentity, ""), Value: []byte("identity")})
	if _, err := store.Own(t.Context(), persistence.OwnerID{1}); err != nil {
		t.Fatal(err)
	}
	head := persistence.Batch{Head: true, Records: []persistence.Record{{Name: headName, Value: []byte("head")}}}
	if err := store.Apply(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	return store
}

func content(t *testing.T, store persistence.Store) map[persistence.Name]string {
	t.Helper()
	all := make(map[persistence.Name]string)
	err := store.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		all[name] = string(value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// keys are a pair for tests.
func keys(t *testing.T) (age.Recipient, age.Identity) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity.Recipient(), identity
}

// passphrase is quick to derive a key from, unlike one for real.
func passphrase(t *testing.T, text string) (age.Recipient, age.Identity) {
	t.Helper()
	to, err := age.NewScryptRecipient(text)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(4)
	of, err := age.NewScryptIdentity(text)
	if err != nil {
		t.Fatal(err)
	}
	return to, of
}

func written(t *testing.T, store persistence.Store, to ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := backup.Write(t.Context(), store, &out, to...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestRestoredRecordsAreThoseWritten for both ways of protecting a backup; what
// belongs to the store itself stays with it, and the mark comes last.
func TestRestoredRecordsAreThoseWritten(t *testing.T) {
	for what, protect := range map[string]func(t *testing.T) (age.Recipient, age.Identity){
		"public key": keys,
		"passphrase": func(t *testing.T) (age.Recipient, age.Identity) { return passphrase(t, "correct horse") },
	} {
		t.Run(what, func(t *testing.T) {
			to, of := protect(t)
			store := filled(t, 2500)
			var out bytes.Buffer
			wrote, err := backup.Write(t.Context(), store, &out, to)
			if err != nil {
				t.Fatal(err)
			}
			restored := newTarget()
			read, err := backup.Restore(t.Context(), &out, restored, of)
			if err != nil {
				t.Fatal(err)
			}
			want, bytes := content(t, store), uint64(0)
			delete(want, persistence.FenceName(persistence.OwnerID{1}))
			delete(want, headName)
			got := content(t, restored)
			for name, value := range want {
				bytes += uint64(len(name) + len(value))
				if got[name] != value {
					t.Fatalf("%s is %.20q, want %.20q", name, got[name], value)
				}
			}
			if len(got) != len(want) || read != wrote || read.Records != 2501 || read.Bytes != bytes {
				t.Errorf("%d records of %d, wrote %+v, read %+v", len(got), len(want), wrote, read)
			}
			if batches := len(restored.Batches()); batches < 3 || restored.marked != batches {
				t.Errorf("marked after %d of %d batches", restored.marked, batches)
			}
		})
	}
}

// TestSeveralRecipientsOpenOneBackup, and a host needs none of their keys.
func TestSeveralRecipientsOpenOneBackup(t *testing.T) {
	a, ofA := keys(t)
	b, ofB := keys(t)
	data := written(t, filled(t, 3), a, b)
	for _, of := range []age.Identity{ofA, ofB} {
		if _, err := backup.Restore(t.Context(), bytes.NewReader(data), newTarget(), of); err != nil {
			t.Error(err)
		}
	}
	if bytes.Contains(data, []byte("identity")) {
		t.Error("a value can be read in the file")
	}
}

func TestBackupWithoutRecipientIsRefused(t *testing.T) {
	var out bytes.Buffer
	if _, err := backup.Write(t.Context(), filled(t, 1), &out); !errors.Is(err, backup.ErrRecipients) || out.Len() != 0 {
		t.Errorf("got %v and %d bytes", err, out.Len())
	}
}

// TestForeignKeysOpenNothing: a wrong passphrase, another's key, the wrong sort
// of key, no key at all.
func TestForeignKeysOpenNothing(t *testing.T) {
	public, _ := keys(t)
	_, other := keys(t)
	secret, _ := passphrase(t, "correct horse")
	_, guess := passphrase(t, "battery staple")
	for _, c := range []struct {
		name string
		to   age.Recipient
		with []age.Identity
	}{
		{"another's key", public, []age.Identity{other}},
		{"a passphrase for a public key", public, []age.Identity{guess}},
		{"a wrong passphrase", secret, []age.Identity{guess}},
		{"a key for a passphrase", secret, []age.Identity{other}},
		{"none", public, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := newTarget()
			_, err := backup.Restore(t.Context(), bytes.NewReader(written(t, filled(t, 1), c.to)), to, c.with...)
			if !errors.Is(err, backup.ErrWrongKey) || len(to.Batches()) != 0 || to.marked != 0 {
				t.Errorf("got %v after %d batches", err, len(to.Batches()))
			}
		})
	}
}

// TestEveryCutAndEveryFlippedBitIsSeen: no prefix of a backup and no copy of it
// with one bit changed is ever restored.
func TestEveryCutAndEveryFlippedBitIsSeen(t *testing.T) {
	to, of := keys(t)
	data := written(t, filled(t, 20), to)
	refused := func(data []byte, what string, at int) error {
		t.Helper()
		store := newTarget()
		_, err := backup.Restore(t.Context(), bytes.NewReader(data), store, of)
		if err == nil || store.marked != 0 {
			t.Fatalf("%s %d: error %v, marked after %d batches", what, at, err, store.marked)
		}
		return err
	}
	for cut := range data {
		err := refused(data[:cut], "cut at", cut)
		if !errors.Is(err, backup.ErrDamaged) && (cut >= 20 || !errors.Is(err, backup.ErrNotBackup)) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1 << (i % 8)
		err := refused(changed, "bit in byte", i)
		if !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrNotBackup) && !errors.Is(err, backup.ErrWrongKey) {
			t.Fatalf("bit in byte %d: %v", i, err)
		}
	}
	if err := refused(append(bytes.Clone(data), 0), "a byte behind", len(data)); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a byte behind: %v", err)
	}
}

// TestCutBetweenChunksIsSeen: a file that ends where an encrypted chunk does is
// as authentic as a whole one up to there.
func TestCutBetweenChunksIsSeen(t *testing.T) {
	to, of := keys(t)
	store := memory.New()
	for i := range 8 {
		put(t, store, persistence.Record{Name: name(persistence.KindOutbox, fmt.Sprint(i)), Value: make([]byte, 64<<10)})
	}
	data := written(t, store, to)
	const nonce, chunk = 16, 64<<10 + 16
	mac := bytes.Index(data, []byte("\n--- ")) + 1
	first := mac + bytes.IndexByte(data[mac:], '\n') + 1 + nonce
	cuts := 0
	for cut := first; cut < len(data); cut += chunk {
		if _, err := backup.Restore(t.Context(), bytes.NewReader(data[:cut]), newTarget(), of); !errors.Is(err, backup.ErrTruncated) {
			t.Errorf("cut after %d chunks: %v", cuts, err)
		}
		cuts++
	}
	if cuts < 8 {
		t.Errorf("the backup has %d chunks only", cuts)
	}
}

// TestWhatNoReleaseWritesIsRefused, although it is well encrypted.
func TestWhatNoReleaseWritesIsRefused(t *testing.T) {
	to, of := keys(t)
	const header = "rookery backup"
	numbers := func(format, store uint16) string {
		return string(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, format), store))
	}
	record := func(name persistence.Name, value string) string {
		frame := binary.BigEndian.AppendUint16([]byte{1}, uint16(len(name)))
		return string(binary.BigEndian.AppendUint32(frame, uint32(len(value)))) + string(name) + value
	}
	trailer := func(n uint64) string {
		return string(binary.BigEndian.AppendUint64([]byte{2}, n)) + string(make([]byte, 32))
	}
	a, b := name(persistence.KindSession, "a"), name(persistence.KindSession, "b")
	for _, c := range []struct {
		name, content string
		want          error
	}{
		{"nothing", "", backup.ErrNotBackup},
		{"something else", "a letter to a friend", backup.ErrNotBackup},
		{"newer format", header + numbers(2, 1), persistence.ErrNewerFormat},
		{"newer store format", header + numbers(1, persistence.Format+1), persistence.ErrNewerFormat},
		{"format 0", header + numbers(0, 1), backup.ErrDamaged},
		{"store format 0", header + numbers(1, 0), backup.ErrDamaged},
		{"no trailer", header + numbers(1, 1) + record(a, "1"), backup.ErrTruncated},
		{"half a record", header + numbers(1, 1) + record(a, "12")[:12], backup.ErrTruncated},
		{"wrong count", header + numbers(1, 1) + record(a, "1") + trailer(2), backup.ErrDamaged},
		{"wrong sum", header + numbers(1, 1) + record(a, "1") + trailer(1), backup.ErrDamaged},
		{"out of order", header + numbers(1, 1) + record(b, "1") + record(a, "1"), backup.ErrDamaged},
		{"twice", header + numbers(1, 1) + record(a, "1") + record(a, "1"), backup.ErrDamaged},
		{"unknown frame", header + numbers(1, 1) + "\x07", backup.ErrDamaged},
		{"fence", header + numbers(1, 1) + record(persistence.FenceName(persistence.OwnerID{}), "12345678"), backup.ErrDamaged},
		{"head", header + numbers(1, 1) + record(headName, ""), backup.ErrDamaged},
		{"malformed name", header + numbers(1, 1) + record("\x01\x00", ""), backup.ErrDamaged},
		{"value of 4 GiB", header + numbers(1, 1) + "\x01\x00\x01\xff\xff\xff\xff\x01", backup.ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			w, err := age.Encrypt(&out, to)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, c.content); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			store := newTarget()
			_, err = backup.Restore(t.Context(), &out, store, of)
			if !errors.Is(err, c.want) || len(store.Batches()) != 0 || store.marked != 0 {
				t.Errorf("got %v after %d batches, want %v", err, len(store.Batches()), c.want)
			}
		})
	}
}

func TestRestoreNeedsAnEmptyStore(t *testing.T) {
	to, of := keys(t)
	data := written(t, filled(t, 3), to)
	store := newTarget()
	put(t, store, persistence.Record{Name: name(persistence.KindSeen, "x")})
	if _, err := backup.Restore(t.Context(), bytes.NewReader(data), store, of); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("got %v", err)
	}
	if got := content(t, store); len(got) != 1 || store.marked != 0 {
		t.Errorf("the store has %d records now", len(got))
	}
}

// errDisk is a failure of what lies below.
var errDisk = errors.New("disk is on fire")

// fails after n bytes, whether it is read or written.
type fails struct {
	from io.Reader
	n    int
}

func (f *fails) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func (f *fails) Read(p []byte) (int, error) {
	if f.n <= 0 {
		return 0, errDisk
	}
	n, err := f.from.Read(p[:min(len(p), f.n)])
	f.n -= n
	return n, err
}

// TestFailuresBelowAreToldAsTheyAre: a disk that fails is no damaged backup, and
// whatever fails, the store is not marked.
func TestFailuresBelowAreToldAsTheyAre(t *testing.T) {
	to, of := keys(t)
	store := filled(t, 2500)
	data := written(t, store, to)
	for n := 0; n < len(data); n += len(data) / 50 {
		if _, err := backup.Write(t.Context(), store, &fails{n: n}, to); !errors.Is(err, errDisk) {
			t.Errorf("writing %d bytes: %v", n, err)
		}
		restored := newTarget()
		_, err := backup.Restore(t.Context(), &fails{from: bytes.NewReader(data), n: n}, restored, of)
		if !errors.Is(err, errDisk) || errors.Is(err, backup.ErrDamaged) || restored.marked != 0 {
			t.Errorf("reading %d bytes: %v", n, err)
		}
	}
	for batch := 1; batch <= 3; batch++ {
		restored := newTarget()
		restored.FailApply(batch, errDisk)
		if _, err := backup.Restore(t.Context(), bytes.NewReader(data), restored, of); !errors.Is(err, errDisk) || restored.marked != 0 {
			t.Errorf("batch %d: %v", batch, err)
		}
	}
	restored := newTarget()
	restored.mark = errDisk
	if _, err := backup.Restore(t.Context(), bytes.NewReader(data), restored, of); !errors.Is(err, errDisk) {
		t.Errorf("mark: %v", err)
	}
}
