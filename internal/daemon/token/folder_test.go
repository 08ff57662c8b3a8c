package token

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func create(t *testing.T, f Folder, of Token) (Token, string) {
	t.Helper()
	made, text, err := f.Create(of, now)
	if err != nil {
		t.Fatal(err)
	}
	return made, text
}

func TestTokenIsKnownByItsWholeTextUntilItExpires(t *testing.T) {
	f := Of(t.TempDir())
	made, text := create(t, f, Token{Identity: "02ab", Expires: now.Add(time.Hour)})
	other, _ := create(t, f, Token{Admin: true})
	got, err := f.Check(text, now.Add(time.Hour-time.Second))
	if err != nil || got != made || !got.May("02ab") || got.May("02ac") || got.May("") {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := f.Check(text, now.Add(time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
	if err := f.Still(made, now.Add(time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
	last := map[bool]string{true: "1", false: "0"}[strings.HasSuffix(text, "0")]
	for _, wrong := range []string{
		"", "x", text[1:], text + "0", text[:len(text)-1] + last, strings.ToUpper(text), " " + text,
		strings.Replace(text, made.ID, other.ID, 1), strings.Replace(text, made.ID, "../../../../etc", 1),
	} {
		if _, err := f.Check(wrong, now); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestRevokedTokenIsUnknownAtOnce(t *testing.T) {
	f := Of(t.TempDir())
	made, text := create(t, f, Token{Admin: true})
	if !made.May("whoever") {
		t.Error("an admin token is for everybody")
	}
	create(t, f, Token{Identity: "02ab"})
	if all, err := f.List(); err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	if err := f.Revoke(made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Check(text, now); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if err := f.Still(made, now); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	for _, id := range []string{made.ID, "", "..", "../keyring"} {
		if err := f.Revoke(id); !errors.Is(err, ErrUnknown) {
			t.Errorf("revoke %q: %v", id, err)
		}
	}
	if all, err := f.List(); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestTextOfATokenIsNotOnTheDiskAndOthersReadNothing(t *testing.T) {
	dir := t.TempDir()
	f := Of(dir)
	made, text := create(t, f, Token{Admin: true})
	folder, err := os.Stat(filepath.Join(dir, "tokens"))
	if err != nil || folder.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", folder.Mode(), err)
	}
	content, err := os.ReadFile(f.path(made.ID))
	if err != nil {
		t.Fatal(err)
	}
	if secret := text[len(text)-64:]; strings.Contains(string(content), secret) {
		t.Error("the secret is in the file")
	}
	if err := os.Chmod(f.path(made.ID), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Check(text, now); !errors.Is(err, ErrPermission) {
		t.Errorf("a file that others may read: %v", err)
	}
}

func TestTokenHasOneScope(t *testing.T) {
	f := Of(t.TempDir())
	for _, of := range []Token{{}, {Admin: true, Identity: "02ab"}} {
		if _, _, err := f.Create(of, now); !errors.Is(err, ErrScope) {
			t.Errorf("%+v: %v", of, err)
		}
	}
	if all, err := f.List(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}
