package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
)

// Whatever way the file is named by that opens the store: that it lies in it is said.
func TestDoctorSaysThatTheKeyLiesInTheStore(t *testing.T) {
	p := newPerson(t)
	p.new()
	const said = "the file that opens the store lies in it"
	outside, _, found := p.doctored()
	without(t, found, warning, "key", said)
	inside := filepath.Join(p.dir, "key")
	if err := os.Rename(p.key, inside); err != nil {
		t.Fatal(err)
	}
	links := t.TempDir()
	toKey, toStore := filepath.Join(links, "key"), filepath.Join(links, "store")
	for link, to := range map[string]string{toKey: inside, toStore: p.dir} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(p.dir)
	for name, with := range map[string]struct {
		dir, variable string
		opener        opener
	}{
		"by a flag":                           {p.dir, "", opener{KeyFile: inside}},
		"by a passphrase file":                {p.dir, "", opener{PassphraseFile: inside}},
		"by the environment":                  {p.dir, inside, opener{}},
		"by the environment, from where I am": {p.dir, "key", opener{}},
		"by a link to the key":                {p.dir, toKey, opener{}},
		"by a link to the store":              {toStore, inside, opener{}},
		"both by a link":                      {toStore, filepath.Join(toStore, "key"), opener{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(keyring.KeyFileVariable, with.variable)
			status, _, found := p.doctored(func(d *doctoring) { d.Dir, d.opener = with.dir, with.opener })
			finds(t, found, warning, "key", said)
			if with.opener.PassphraseFile == "" && status != exitBadResult {
				t.Errorf("status %d, %d before", status, outside)
			}
		})
	}
}

// What opening refuses is an error, and nothing else is.
func TestDoctorFindsTheModesThatOpeningRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string) // of a store
		want   severity
	}{
		"as it was made": {func(*testing.T, string) {}, fine},
		"directory":      {loosened("", 0o755), failure},
		"records":        {loosened("records", 0o750), failure},
		"keyring":        {loosened("keyring", 0o640), failure},
		"anchor":         {loosened("anchor", 0o604), failure},
		"a file of somebody else": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			loosened("notes", 0o644)(t, dir)
		}, note},
		"a link": {func(t *testing.T, dir string) {
			if err := os.Symlink(t.TempDir(), filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
		}, fine},
		"records elsewhere": {func(t *testing.T, dir string) {
			elsewhere := filepath.Join(t.TempDir(), "elsewhere")
			if err := errors.Join(os.Rename(filepath.Join(dir, "records"), elsewhere), os.Symlink(elsewhere, filepath.Join(dir, "records"))); err != nil {
				t.Fatal(err)
			}
		}, fine},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			p.new()
			c.change(t, p.dir)
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(p.dir, link); err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{p.dir, link} {
				_, text, found := p.doctored(func(d *doctoring) { d.Dir = dir })
				worst := fine
				for _, d := range found {
					if d.About == "directory" && rank[d.Severity] > rank[worst] {
						worst = d.Severity
					}
				}
				place := storePlace{Dir: dir, opener: opener{KeyFile: p.key}}
				store, err := place.tryStart(t.Context(), true)
				if err == nil {
					closed(t, store)
				}
				if refused := errors.Is(err, persistence.ErrPermission); worst != c.want || refused != (c.want == failure) {
					t.Errorf("%s, want %s; opening gives %v\n%s", worst, c.want, err, text)
				}
			}
		})
	}
}

// loosened lets others at a part of a store.
func loosened(part string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Chmod(filepath.Join(dir, part), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// A clock behind the files is found wherever these lie.
func TestDoctorSaysThatTheClockHasGoneBack(t *testing.T) {
	p := newPerson(t)
	p.new()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(p.dir, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{p.dir, link} {
		at := func(by time.Duration) []diagnosis {
			_, _, found := p.doctored(later(by), func(d *doctoring) { d.Dir = dir })
			return found
		}
		finds(t, at(0), fine, "clock", "")
		found := at(-time.Hour)
		finds(t, found, warning, "clock", "behind what was written before")
		finds(t, found, warning, "bundle", "the clock has gone back")
	}
}

func TestDoctorSaysHowMuchRoomThereIs(t *testing.T) {
	p := newPerson(t)
	p.new()
	for _, c := range []struct {
		free  int64
		known bool
		want  severity
	}{{2 << 30, true, fine}, {scarceFree - 1, true, warning}, {leastFree - 1, true, failure}, {0, true, failure}, {0, false, ""}} {
		_, _, found := p.doctored(func(d *doctoring) { d.on.free = func(string) (int64, bool) { return c.free, c.known } })
		at := slices.IndexFunc(found, func(d diagnosis) bool { return d.About == "disk" })
		if c.known != (at >= 0) || c.known && found[at].Severity != c.want {
			t.Errorf("%d free, known %t: %+v", c.free, c.known, found)
		}
	}
}
