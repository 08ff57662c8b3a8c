package keyring

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

// T46: a wrong passphrase, whatever its length, gives one and the same error and
// writes nothing.
func TestAWrongPassphrase(t *testing.T) {
	const right = "correct horse battery staple"
	disk := celltest.NewDisk()
	k := mustCreate(t, Passphrase(right), onDisk(disk, 1))
	before := disk.Content(ringName)
	disk.Before = func(operation string) error {
		if operation == "write" || operation == "create" || operation == "rename" {
			t.Errorf("there is a %s", operation)
		}
		return nil
	}
	if again := mustOpen(t, Passphrase(right), onDisk(disk, 2)); !sameKeyring(k, again) {
		t.Error("the right passphrase gives other keys")
	}
	texts := make(map[string]bool)
	for _, wrong := range []string{"", "c", right[1:], right + " ", strings.ToUpper(right), strings.Repeat(right, 1<<15)} {
		_, err := Open(ringName, Passphrase(wrong), onDisk(disk, 2))
		if !errors.Is(err, ErrWrongKey) {
			t.Fatalf("%d bytes: %v", len(wrong), err)
		}
		texts[err.Error()] = true
	}
	_, err := Open(ringName, newKeyFile(t), onDisk(disk, 2))
	if !errors.Is(err, ErrWrongKey) {
		t.Fatalf("a key file: %v", err)
	}
	texts[err.Error()] = true
	if len(texts) != 1 {
		t.Errorf("the errors differ: %v", texts)
	}
	if !bytes.Equal(disk.Content(ringName), before) {
		t.Error("a wrong passphrase has changed the file")
	}
}

// T46: what a new passphrase costs those who try many.
func TestTheCostOfAPassphrase(t *testing.T) {
	h, key, err := Passphrase("passphrase").protect(seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	if h.memory < 64<<10 || h.passes < 3 || h.lanes < 1 {
		t.Errorf("Argon2id with %+v", h)
	}
	for name, other := range map[string]func(header) header{
		"salt":   func(h header) header { h.salt[15]++; return h },
		"memory": func(h header) header { h.memory += 4 * uint32(h.lanes); return h },
		"passes": func(h header) header { h.passes--; return h },
		"lanes":  func(h header) header { h.lanes--; return h },
	} {
		changed, err := Passphrase("passphrase").unlock(other(h))
		if err != nil || changed.Equal(&key) {
			t.Errorf("%s makes no difference: %v", name, err)
		}
	}
	if same, err := Passphrase("passphrase").unlock(h); err != nil || !same.Equal(&key) {
		t.Errorf("the same passphrase gives another key: %v", err)
	}
}

func TestAnEmptyPassphraseProtectsNothing(t *testing.T) {
	disk := celltest.NewDisk()
	if _, err := Create(ringName, Passphrase(""), onDisk(disk, 1)); !errors.Is(err, ErrEmptyPassphrase) {
		t.Fatalf("got %v", err)
	}
	if files := disk.Files(); len(files) != 0 {
		t.Fatalf("it has made %q", files)
	}
	p := newKeyFile(t)
	k := mustCreate(t, p, onDisk(disk, 1))
	if err := k.SetProtector(Passphrase("")); !errors.Is(err, ErrEmptyPassphrase) {
		t.Errorf("got %v", err)
	}
	if again := mustOpen(t, p, onDisk(disk, 2)); !sameKeyring(k, again) {
		t.Error("a refused passphrase has changed the keyring")
	}
}

// After a change the older passphrase opens nothing, and what it opened is no
// more in the file.
func TestAChangedPassphrase(t *testing.T) {
	disk := celltest.NewDisk()
	older, newer, file := Passphrase("older"), Passphrase("newer"), newKeyFile(t)
	k := mustCreate(t, older, onDisk(disk, 1))
	present := older
	for _, next := range []Protector{newer, file, KeyFile(t.TempDir() + "/another")} {
		mustBegin(t, k)
		sealed := sealedIn(t, disk)
		if err := k.SetProtector(next); err != nil {
			t.Fatal(err)
		}
		content := disk.Content(ringName)
		for at := 0; at+16 <= len(sealed); at += 16 {
			if bytes.Contains(content, sealed[at:at+16]) {
				t.Fatalf("a part of what %v opened is in the file", present)
			}
		}
		if _, err := Open(ringName, present, onDisk(disk, 2)); !errors.Is(err, ErrWrongKey) {
			t.Fatalf("%v: %v", present, err)
		}
		// What was begun since is sealed for the new one too.
		mustBegin(t, k)
		mustRetire(t, k, k.Current().ID)
		if again := mustOpen(t, next, onDisk(disk, 3)); !sameKeyring(k, again) {
			t.Fatalf("%v opens other keys", next)
		}
		present = next
	}
}

// sealedIn gives salt, nonce and sealed content of a keyring with nothing in its
// other slot.
func sealedIn(tb testing.TB, disk *celltest.Disk) []byte {
	tb.Helper()
	value := bytes.Trim(disk.Content(ringName), "\x00")
	at := bytes.Index(value, []byte(magic))
	end := at + headerBytes + nonceBytes + fixedBytes + 16
	if at < 0 || end > len(value) {
		tb.Fatal("no keyring in the file")
	}
	return value[at+headerBytes-16 : end]
}

func TestFromEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		variables map[string]string
		want      Protector
		err       error
	}{
		"nothing":                  {nil, nil, ErrNoProtector},
		"both empty":               {map[string]string{PassphraseVariable: "", KeyFileVariable: ""}, nil, ErrNoProtector},
		"a passphrase":             {map[string]string{PassphraseVariable: " as it is\n"}, Passphrase(" as it is\n"), nil},
		"a key file":               {map[string]string{KeyFileVariable: "/path"}, KeyFile("/path"), nil},
		"both":                     {map[string]string{PassphraseVariable: "text", KeyFileVariable: "/path"}, nil, ErrTwoProtectors},
		"an empty passphrase":      {map[string]string{PassphraseVariable: "", KeyFileVariable: "/path"}, KeyFile("/path"), nil},
		"an empty path":            {map[string]string{PassphraseVariable: "text", KeyFileVariable: ""}, Passphrase("text"), nil},
		"variables of other names": {map[string]string{"PASSPHRASE": "text", "KEY_FILE": "/path"}, nil, ErrNoProtector},
	} {
		got, err := FromEnvironment(func(variable string) (string, bool) {
			value, set := c.variables[variable]
			return value, set
		})
		if !errors.Is(err, c.err) || !sameProtector(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if PassphraseVariable != "ROOKERY_PASSPHRASE" || KeyFileVariable != "ROOKERY_KEY_FILE" {
		t.Error("the variables have other names than the documents say")
	}
}

func sameProtector(a, b Protector) bool {
	switch a := a.(type) {
	case *passphrase:
		b, same := b.(*passphrase)
		return same && string(*a.text) == string(*b.text)
	case *keyFile:
		b, same := b.(*keyFile)
		return same && a.path == b.path
	}
	return a == nil && b == nil
}
