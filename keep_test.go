package rookery_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/keep"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
)

// kept is a collection of the application's records, by their names.
func (w *world) kept(collection string) map[string]string {
	w.t.Helper()
	return keptBy(w.t, w.engine, collection)
}

func keptBy(t *testing.T, engine *rookery.Engine, collection string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for k, err := range engine.Kept(patient(t), collection) {
		if err != nil {
			t.Fatal(err)
		}
		if k.Collection != collection || k.Value == nil {
			t.Errorf("got %+v", k)
		}
		all[k.Name] = string(k.Value)
	}
	return all
}

func sameKept(t *testing.T, got, want map[string]string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kept is %q, want %q", got, want)
	}
}

// What Keep has written is there after the engine was opened again, in its collection
// alone, and stays when an identity is deleted.
func TestKeptRecordsOutliveTheEngineAndIdentities(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t, b)
			alice := w.person(1)[0]
			write := func(records ...keep.Record) {
				t.Helper()
				if err := w.engine.Keep(w.context(), records...); err != nil {
					t.Fatal(err)
				}
			}
			write(keep.Record{Collection: "a", Name: "one", Value: []byte("1")}, keep.Record{Collection: "a", Name: "two", Value: []byte("2")},
				keep.Record{Collection: "ab", Name: "one", Value: []byte("other")}, keep.Record{Collection: "a", Name: "empty", Value: []byte{}},
				keep.Record{Collection: "empty", Name: "first", Value: []byte{}})
			write(keep.Record{Collection: "a", Name: "two"}, keep.Record{Collection: "a", Name: "one", Value: []byte("new")}, keep.Record{Collection: "a", Name: "none"})
			if err := w.engine.DeleteIdentity(w.context(), alice.key, w.at(alice).InstallationID()); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				sameKept(t, w.kept("a"), map[string]string{"one": "new", "empty": ""})
				sameKept(t, w.kept("ab"), map[string]string{"one": "other"})
				sameKept(t, w.kept("empty"), map[string]string{"first": ""})
				sameKept(t, w.kept("b"), map[string]string{})
				if value, found, err := w.engine.KeptValue(w.context(), "a", "one"); err != nil || !found || string(value) != "new" {
					t.Errorf("got %q, %t, %v", value, found, err)
				}
				if value, found, err := w.engine.KeptValue(w.context(), "a", "two"); err != nil || found || value != nil {
					t.Errorf("got %q, %t, %v", value, found, err)
				}
				w.reopen()
			}
			for _, err := range w.engine.Kept(w.context(), "a") {
				if err != nil {
					t.Error(err)
				}
				break // a loop may be left
			}
		})
	}
}

func TestKeptRecordsAreBoundedAndAllOrNone(t *testing.T) {
	w := newWorld(t, backends[0])
	good := keep.Record{Collection: "c", Name: "good", Value: []byte("x")}
	for _, bad := range []keep.Record{
		{Collection: "", Name: "n", Value: []byte("x")},
		{Collection: "c", Name: "", Value: []byte("x")},
		{Collection: strings.Repeat("c", keep.MaxName+1), Name: "n"},
		{Collection: "c", Name: strings.Repeat("n", keep.MaxName+1)},
		{Collection: "c", Name: "n", Value: make([]byte, keep.MaxValue+1)},
	} {
		wantError(t, w.engine.Keep(w.context(), good, bad), keep.ErrRecord)
	}
	sameKept(t, w.kept("c"), map[string]string{})
	for _, name := range []string{"", strings.Repeat("c", keep.MaxName+1)} {
		for _, err := range w.engine.Kept(w.context(), name) {
			wantError(t, err, keep.ErrRecord)
		}
		_, _, err := w.engine.KeptValue(w.context(), "c", name)
		wantError(t, err, keep.ErrRecord)
	}
	most := keep.Record{Collection: strings.Repeat("c", keep.MaxName), Name: strings.Repeat("n", keep.MaxName), Value: make([]byte, keep.MaxValue)}
	if err := w.engine.Keep(w.context(), most); err != nil {
		t.Error(err)
	}
	if shown := fmt.Sprintf("%v %+v", keep.Record{Collection: "c", Name: "n", Value: []byte("secret")}, &keep.Record{Value: []byte("secret")}); strings.Contains(shown, "secret") || strings.Contains(shown, fmt.Sprint([]byte("secret"))) {
		t.Errorf("printed as %s", shown)
	}
}

// diskWithoutSpace is a store on a disk without space.
type diskWithoutSpace struct{ persistence.Store }

func (diskWithoutSpace) Apply(context.Context, persistence.Batch) error {
	return &persistence.StoreError{Op: "apply", Kind: persistence.ErrFull}
}

func TestKeepTellsOfAFullDiskAndAClosedEngine(t *testing.T) {
	store := memstore.New()
	w := newWorld(t, on(diskWithoutSpace{store}))
	record := keep.Record{Collection: "c", Name: "n", Value: []byte("x")}
	err := w.engine.Keep(w.context(), record)
	wantError(t, err, cause.ErrStoreFull)
	wantError(t, err, cause.ErrNotDurable)
	sameKept(t, w.kept("c"), map[string]string{})
	w.close()
	wantError(t, w.engine.Keep(w.context(), record), rookery.ErrClosed)
	for _, err := range w.engine.Kept(w.context(), "c") {
		wantError(t, err, rookery.ErrClosed)
	}
	_, _, err = w.engine.KeptValue(w.context(), "c", "n")
	wantError(t, err, rookery.ErrClosed)
}

// filesWith are the files below dir that have some bytes.
func filesWith(t *testing.T, dir string, content []byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		all, err := os.ReadFile(path)
		if bytes.Contains(all, content) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Kept records are in a backup, and not in the clear on the disk.
func TestKeptRecordsAreInBackupsAndSealed(t *testing.T) {
	dir := t.TempDir()
	options := rookery.Options{Dir: filepath.Join(dir, "store"), Unlock: rookery.KeyFile(filepath.Join(dir, "key")), Transport: newAir()}
	engine, err := rookery.Open(patient(t), options)
	if err != nil {
		t.Fatal(err)
	}
	value := []byte("words that nobody reads on the disk")
	if err := engine.Keep(patient(t), keep.Record{Collection: "c", Name: "n", Value: value}); err != nil {
		t.Fatal(err)
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := engine.Backup(patient(t), &file, key.Recipient()); err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(patient(t)); err != nil {
		t.Fatal(err)
	}
	if found := filesWith(t, options.Dir, value); len(found) > 0 {
		t.Errorf("in the clear in %v", found)
	}
	if found := filesWith(t, options.Dir, []byte("c\x00\x01n")); len(found) == 0 {
		t.Error("the search finds not even the name")
	}
	options.Dir = filepath.Join(dir, "restored")
	if _, err := rookery.Restore(patient(t), options, &file, key); err != nil {
		t.Fatal(err)
	}
	restored, err := rookery.Open(patient(t), options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := restored.Close(patient(t)); err != nil {
			t.Error(err)
		}
	}()
	sameKept(t, keptBy(t, restored, "c"), map[string]string{"n": string(value)})
}
