package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence/backup"
	"github.com/rookery-im/rookery/transport/memory"
)

// ageKeys are who can open a backup: the public key, and a file with the other half.
func ageKeys(t *testing.T) (to, identity string) {
	t.Helper()
	made, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return made.Recipient().String(), file(t, made.String()+"\n")
}

func TestStoreIsRestoredFromItsBackup(t *testing.T) {
	to, identity := ageKeys(t)
	dir, key := lived(t)
	for _, c := range []struct {
		name      string
		protected []string
	}{
		{"public key", []string{"--recipient", to}},
		{"file of public keys", []string{"--recipients-file", file(t, "# operators\n"+to+"\n")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := t.TempDir()
			saved, made, next := filepath.Join(out, "backup"), filepath.Join(out, "made"), filepath.Join(out, "next")
			arguments := append([]string{"store", "backup", dir, "--key-file", key, "--to", saved}, c.protected...)
			says(t, 0, saved+`\n +records +50\n`, arguments...)
			if info, err := os.Stat(saved); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the backup: %v, %v", info.Mode(), err)
			}
			before := bytesOf(t, out)
			says(t, exitError, "file already exists", arguments...)
			if bytesOf(t, out) != before {
				t.Error("an older backup has changed")
			}
			restore := []string{"store", "restore", made, "--key-file", next, "--from", saved, "--identity", identity}
			says(t, 0, made+`\n +records +50\n`, restore...)
			says(t, 0, "open is a recovery\n +records +50\n +not in order +0", "store", "check", made, "--key-file", next)
			says(t, 0, "to be made by the next open", "store", "stats", made, "--key-file", next)
			says(t, exitError, "file already exists", restore...)
			entries, err := os.ReadDir(out)
			if err != nil || len(entries) != 3 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// A passphrase for real takes a second to try: one is written, and one that is
// quick is read.
func TestBackupsCanHaveAPassphrase(t *testing.T) {
	const text = "battery staple"
	passphrase := file(t, text+"\n")
	dir, key := lived(t)
	says(t, 0, `^age-encryption.org/v1\n-> scrypt \S+ 18\n`, "store", "backup", dir, "--key-file", key, "--to", "-", "--backup-passphrase-file", passphrase)

	quick, err := age.NewScryptRecipient(text)
	if err != nil {
		t.Fatal(err)
	}
	quick.SetWorkFactor(4)
	store := opened(t, dir, key)
	var saved strings.Builder
	if _, err := backup.Write(t.Context(), store, &saved, quick); err != nil {
		t.Fatal(err)
	}
	closed(t, store)
	made := filepath.Join(t.TempDir(), "made")
	restore := []string{"store", "restore", made, "--key-file", made + ".key", "--from", file(t, saved.String())}
	says(t, exitError, "no key that was given opens the backup", append(restore, "--backup-passphrase-file", file(t, "correct horse"))...)
	says(t, 0, `records +50\n`, append(restore, "--backup-passphrase-file", passphrase)...)
}

// After a recovery retired installations and their successors stand beside each
// other, and all of that is in order.
func TestStoreIsInOrderAfterARecovery(t *testing.T) {
	to, identity := ageKeys(t)
	dir, key := lived(t)
	out := t.TempDir()
	saved, made, next := filepath.Join(out, "backup"), filepath.Join(out, "made"), filepath.Join(out, "next")
	says(t, 0, "", "store", "backup", dir, "--key-file", key, "--to", saved, "--recipient", to)
	says(t, 0, "", "store", "restore", made, "--key-file", next, "--from", saved, "--identity", identity)
	engine, err := rookery.Open(t.Context(), rookery.Options{
		Dir: made, Unlock: rookery.KeyFile(next), Transport: memory.New(1, memory.Faults{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(engine.Identities()); n != 6 {
		t.Errorf("%d installations, want three and their successors", n)
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	said := says(t, 0, "not in order +0", "store", "check", made, "--key-file", next)
	if strings.Contains(said, "recovery") {
		t.Errorf("the recovery is still to be made: %s", said)
	}
}

func TestBackupGoesToStandardOutput(t *testing.T) {
	to, identity := ageKeys(t)
	dir, key := lived(t)
	saved := says(t, 0, "^age-encryption.org/", "store", "backup", dir, "--key-file", key, "--to", "-", "--recipient", to)
	made := filepath.Join(t.TempDir(), "made")
	says(t, 0, `{"path":".*","records":50,"bytes":\d+}`, "store", "restore", made, "--key-file", made+".key",
		"--from", file(t, saved), "--identity", identity, "--json")
}

func TestBackupsAreRefusedWithTheirCause(t *testing.T) {
	to, identity := ageKeys(t)
	_, stranger := ageKeys(t)
	passphrase := file(t, "battery staple\n")
	dir, key := lived(t)
	out := t.TempDir()
	saved, made := filepath.Join(out, "backup"), filepath.Join(out, "made")
	arguments := []string{"store", "backup", dir, "--key-file", key, "--to", saved}
	for want, args := range map[string][]string{
		"who may open the backup":     {},
		"--recipient \"age1nobody\"":  {"--recipient", "age1nobody"},
		"a passphrase or public keys": {"--recipient", to, "--backup-passphrase-file", passphrase},
		"unknown recipient type":      {"--recipients-file", passphrase},
		"no such file":                {"--recipients-file", saved},
	} {
		says(t, exitError, want, append(arguments, args...)...)
	}
	says(t, 0, "", append(arguments, "--recipient", to)...)
	whole, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	restore := []string{"store", "restore", made, "--key-file", made + ".key"}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"what opens the backup", []string{"--from", saved}},
		{"no key that was given opens the backup", []string{"--from", saved, "--identity", stranger}},
		{"no key that was given opens the backup", []string{"--from", saved, "--backup-passphrase-file", passphrase}},
		{"backup is damaged", []string{"--from", file(t, string(whole[:len(whole)/2])), "--identity", identity}},
		{"not a backup", []string{"--from", passphrase, "--identity", identity}},
		{"no such file", []string{"--from", filepath.Join(out, "none"), "--identity", identity}},
	} {
		says(t, exitError, c.want, append(restore, c.args...)...)
	}
	if _, err := os.Stat(made); !os.IsNotExist(err) {
		t.Errorf("a refused backup has made a store: %v", err)
	}
}
