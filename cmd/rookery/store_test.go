package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// goldenStores are stores with a little of everything, one of each released format; see
// internal/goldenstore.
const goldenStores = "../../testdata/stores"

// lived is a copy of the first of them, which has records of all kinds, and of the key
// file that opens it.
func lived(t *testing.T) (dir, key string) {
	t.Helper()
	return copiedStore(t, filepath.Join(goldenStores, "v1"))
}

func copiedStore(t *testing.T, golden string) (dir, key string) {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(golden, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, golden))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "store"), filepath.Join(to, "key")
}

// opened is a store open for writing, closed with the test if not before.
func opened(t *testing.T, dir, key string) *sealing.Store {
	t.Helper()
	store, err := sealing.Open(t.Context(), sealing.Options{
		Dir: dir, Protector: keyring.KeyFile(key), Bound: -1,
		Records: func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // most tests have closed it
	return store
}

func closed(t *testing.T, store persistence.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// says runs a command line and compares status and output.
func says(t *testing.T, status int, pattern string, args ...string) string {
	t.Helper()
	got, out, errors := command(t, args...)
	if got != status || !regexp.MustCompile(pattern).MatchString(out+errors) {
		t.Fatalf("rookery %s: status %d, want %d and %q:\n%s%s", strings.Join(args, " "), got, status, pattern, out, errors)
	}
	return out
}

// file makes a private file.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bytesOf is all that lies in a directory, but for the lock, which is empty.
func bytesOf(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "LOCK" {
			return err
		}
		content, err := os.ReadFile(path)
		_, _ = fmt.Fprintf(&all, "%s %x\n", path, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestLookingAtAStoreWritesNothing(t *testing.T) {
	dir, key := lived(t)
	before := bytesOf(t, dir)
	says(t, 0, `records +50\n`, "store", "check", dir, "--key-file", key)
	says(t, 0, `session +8 records, \d+ bytes\n`, "store", "stats", dir, "--key-file", key)
	says(t, 0, `records +50\n`, "store", "backup", dir, "--key-file", key,
		"--to", filepath.Join(t.TempDir(), "b"), "--recipient", recipient)
	if bytesOf(t, dir) != before {
		t.Error("a file has changed")
	}
}

// recipient is whoever has the key to the golden backup.
const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

func TestStoreIsOpenedByWhatIsSaid(t *testing.T) {
	dir, key := lived(t)
	t.Setenv(keyring.KeyFileVariable, key)
	says(t, 0, `not in order +0`, "store", "check", dir)
	t.Setenv(keyring.PassphraseVariable, "and a passphrase")
	says(t, exitError, "both ROOKERY_PASSPHRASE and ROOKERY_KEY_FILE are set.*unset one", "store", "check", dir)
	says(t, 0, `not in order +0`, "store", "check", dir, "--key-file", key)
	t.Setenv(keyring.KeyFileVariable, "")
	says(t, exitError, "wrong passphrase or key file", "store", "check", dir)
	t.Setenv(keyring.PassphraseVariable, "")
	says(t, exitError, "neither ROOKERY_PASSPHRASE nor ROOKERY_KEY_FILE is set.*give --key-file", "store", "check", dir)

	loose := file(t, "correct horse\n")
	if err := os.Chmod(loose, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, file string }{
		{"wrong passphrase or key file", file(t, "correct horse\n")},
		{"it has to hold one line", file(t, "")},
		{"it has to hold one line", file(t, "correct\nhorse\n")},
		{"it has to hold one line", file(t, strings.Repeat("x", maxPassphrase+1))},
		{"others may read it", loose},
		{"no such file", filepath.Join(t.TempDir(), "none")},
	} {
		says(t, exitError, c.want, "store", "check", dir, "--passphrase-file", c.file)
	}
	says(t, exitError, "can't be used together", "store", "check", dir, "--key-file", key, "--passphrase-file", file(t, "x"))
}

// No command takes a passphrase where other users of the machine see it.
func TestPassphrasesAreNoArguments(t *testing.T) {
	for _, name := range []string{"check", "stats", "backup", "restore", "rekey", "passwd"} {
		help := says(t, 0, "Usage", "store", name, "--help")
		for _, flag := range regexp.MustCompile(`--[a-z-]*passphrase[a-z-]*`).FindAllString(help, -1) {
			if !strings.HasSuffix(flag, "passphrase-file") {
				t.Errorf("store %s has %s", name, flag)
			}
		}
	}
}

func TestWhatIsNoStoreIsLeftAlone(t *testing.T) {
	_, key := lived(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter"), []byte("Dear Carol"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check"},
		{"stats"},
		{"rekey"},
		{"passwd", "--new-key-file", filepath.Join(dir, "new")},
		{"backup", "--to", filepath.Join(dir, "backup"), "--recipient", recipient},
	} {
		for _, place := range []string{dir, filepath.Join(dir, "none")} {
			says(t, exitError, "there is no store in", append([]string{"store", args[0], place, "--key-file", key}, args[1:]...)...)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}

	lost, key := lived(t)
	if err := os.Remove(filepath.Join(lost, "keyring")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"check", "rekey"} {
		says(t, exitError, "keyring", "store", name, lost, "--key-file", key)
	}
	if _, err := os.Stat(filepath.Join(lost, "keyring")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("records without a keyring got a new one: %v", err)
	}
}

func TestStoreInUseIsToldSo(t *testing.T) {
	dir, key := lived(t)
	store := opened(t, dir, key)
	for _, name := range []string{"check", "stats", "rekey"} {
		says(t, exitError, "directory is in use.*a running process has the store open", "store", name, dir, "--key-file", key)
	}
	closed(t, store)
	says(t, 0, "not in order +0", "store", "check", dir, "--key-file", key)
}

func TestStatsAsJSON(t *testing.T) {
	dir, key := lived(t)
	var result statsResult
	out := says(t, 0, "", "store", "stats", dir, "--key-file", key, "--json")
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]uint64)
	var records uint64
	for _, k := range result.Kinds {
		kinds[k.Kind] = k.Records
		if k.Kind != "fence" {
			records += k.Records
		}
	}
	var under uint64
	for _, e := range result.Epochs {
		under += e.Records
	}
	if kinds["session"] != 8 || kinds["skipped"] != 4 || kinds["inbox"] != 11 || kinds["head"] != 0 {
		t.Errorf("kinds: %v", kinds)
	}
	if under != records || result.Commits == 0 || result.DiskBytes < 10_000 || result.Recovery != 0 || result.Pending {
		t.Errorf("%d records, under epochs %d: %+v", records, under, result)
	}
}

func TestRekeyDestroysTheOlderKeys(t *testing.T) {
	dir, key := lived(t)
	epochs := func() []keyring.Epoch {
		ring, err := keyring.Open(filepath.Join(dir, "keyring"), keyring.KeyFile(key), keyring.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all := ring.Epochs()
		if err := ring.Close(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := epochs()
	var result rekeyResult
	out := says(t, 0, "", "store", "rekey", dir, "--key-file", key, "--json")
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	after := epochs()
	if len(after) != 1 || after[0].ID <= before[len(before)-1].ID {
		t.Errorf("epochs %v, were %v", after, before)
	}
	if result.Records != 50 || result.KeysDestroyed < 1 {
		t.Errorf("got %+v", result)
	}
	says(t, 0, `keys destroyed +[1-9]`, "store", "rekey", dir, "--key-file", key)
	says(t, 0, "not in order +0", "store", "check", dir, "--key-file", key)
}

func TestPasswdChangesWhatOpensAStore(t *testing.T) {
	dir, key := lived(t)
	passphrase, next := file(t, "correct horse\n"), filepath.Join(t.TempDir(), "next")
	says(t, 0, "opens it no longer", "store", "passwd", dir, "--key-file", key, "--new-passphrase-file", passphrase)
	says(t, exitError, "wrong passphrase or key file", "store", "check", dir, "--key-file", key)
	says(t, 0, "not in order +0", "store", "check", dir, "--passphrase-file", passphrase)
	says(t, exitError, "wrong passphrase or key file", "store", "passwd", dir, "--key-file", key, "--new-key-file", next)
	if _, err := os.Stat(next); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused change has made a key file: %v", err)
	}
	says(t, 0, "", "store", "passwd", dir, "--passphrase-file", passphrase, "--new-key-file", next)
	says(t, exitError, "wrong passphrase or key file", "store", "check", dir, "--passphrase-file", passphrase)
	says(t, 0, "not in order +0", "store", "check", dir, "--key-file", next)
	for _, args := range [][]string{{}, {"--new-key-file", key, "--new-passphrase-file", passphrase}} {
		says(t, exitError, "new-key-file", append([]string{"store", "passwd", dir, "--key-file", next}, args...)...)
	}
}
