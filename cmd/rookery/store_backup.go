package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence/backup"
	"github.com/rookery-im/rookery/persistence/cell"
)

// StoreBackupCmd writes a backup of a store that no process has open.
type StoreBackupCmd struct {
	storePlace
	To               string   `name:"to" required:"" placeholder:"FILE" help:"The backup's file, which must not exist; - writes to standard output."`
	Recipient        []string `name:"recipient" sep:"none" placeholder:"age1..." help:"Who can open the backup: an age public key. May be repeated."`
	RecipientsFile   string   `name:"recipients-file" type:"path" placeholder:"FILE" help:"A file with age public keys, one a line."`
	BackupPassphrase string   `name:"backup-passphrase-file" type:"path" placeholder:"FILE" help:"A file with a passphrase that opens the backup, in place of public keys."`
	JSON             bool     `name:"json" help:"Write one JSON document instead of text."`
}

var (
	errNoRecipient = errors.New("who may open the backup? Give --recipient, --recipients-file or --backup-passphrase-file")
	errOneSecret   = errors.New("a backup has a passphrase or public keys, not both")
)

// Run implements kong's command.
func (c *StoreBackupCmd) Run(out *output) error {
	to, err := c.recipients()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	store, err := c.read(ctx)
	if err != nil {
		return err
	}
	var summary backup.Summary
	write := func(w io.Writer) (err error) {
		summary, err = backup.Write(ctx, store, w, to...)
		return err
	}
	if c.To == "-" {
		err = write(out.stdout)
	} else {
		err = newFile(c.To, write)
	}
	if err := errors.Join(err, store.Close()); err != nil || c.To == "-" {
		return err
	}
	return written(out.stdout, c.JSON, c.To, summary)
}

func (c *StoreBackupCmd) recipients() ([]age.Recipient, error) {
	var all []age.Recipient
	for _, text := range c.Recipient {
		one, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("--recipient %q: %w", text, err)
		}
		all = append(all, one)
	}
	if c.RecipientsFile != "" {
		some, err := parsed(c.RecipientsFile, age.ParseRecipients)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	switch {
	case c.BackupPassphrase == "" && len(all) == 0:
		return nil, errNoRecipient
	case c.BackupPassphrase == "":
		return all, nil
	case len(all) > 0:
		return nil, errOneSecret
	}
	text, err := readPassphrase(c.BackupPassphrase)
	if err != nil {
		return nil, err
	}
	one, err := age.NewScryptRecipient(text)
	if err != nil {
		return nil, err
	}
	return []age.Recipient{one}, nil
}

// parsed reads a file of age keys.
func parsed[K any](path string, parse func(io.Reader) ([]K, error)) ([]K, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	keys, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// newFile makes a private file that has its name only when it is whole and
// durable. A file of that name stays as it is: it may be the last good backup.
func newFile(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s: %w", path, fs.ErrExist))
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // another name of the same file by then
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil {
		return err
	}
	return cell.OS.SyncDir(filepath.Dir(path))
}

// written says what was written, and where to.
func written(w io.Writer, asJSON bool, path string, s backup.Summary) error {
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			Path    string `json:"path"`
			Records uint64 `json:"records"`
			Bytes   uint64 `json:"bytes"`
		}{path, s.Records, s.Bytes})
	}
	_, err := fmt.Fprintln(w, path)
	field(w, "records", "%d", s.Records)
	field(w, "bytes", "%d", s.Bytes)
	return err
}

// StoreRestoreCmd makes a new store out of a backup.
type StoreRestoreCmd struct {
	storePlace
	From             string   `name:"from" required:"" placeholder:"FILE" help:"The backup's file; - reads standard input."`
	Identity         []string `name:"identity" type:"path" placeholder:"FILE" help:"A file with the age keys that open the backup. May be repeated."`
	BackupPassphrase string   `name:"backup-passphrase-file" type:"path" placeholder:"FILE" help:"A file with the passphrase that opens the backup."`
	JSON             bool     `name:"json" help:"Write one JSON document instead of text."`
}

var errNoIdentity = errors.New("what opens the backup? Give --identity or --backup-passphrase-file")

// Run implements kong's command.
func (c *StoreRestoreCmd) Run(out *output) error {
	identities, err := c.identities()
	if err != nil {
		return err
	}
	key, err := c.unlock()
	if err != nil {
		return explained(err)
	}
	ctx, stop := interruptible()
	defer stop()
	from := os.Stdin
	if c.From != "-" {
		if from, err = os.Open(c.From); err != nil {
			return err
		}
		defer func() { _ = from.Close() }() // it was only read
	}
	summary, err := c.restore(ctx, from, rookery.Options{Dir: c.Dir, Anchor: c.Anchor, Unlock: key}, identities)
	if err != nil {
		return err
	}
	return written(out.stdout, c.JSON, c.Dir, summary)
}

func (c *StoreRestoreCmd) restore(ctx context.Context, from io.Reader, o rookery.Options, identities []age.Identity) (backup.Summary, error) {
	summary, err := rookery.Restore(ctx, o, from, identities...)
	return summary, explained(err)
}

func (c *StoreRestoreCmd) identities() ([]age.Identity, error) {
	var all []age.Identity
	for _, path := range c.Identity {
		some, err := parsed(path, age.ParseIdentities)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if c.BackupPassphrase != "" {
		text, err := readPassphrase(c.BackupPassphrase)
		if err != nil {
			return nil, err
		}
		one, err := age.NewScryptIdentity(text)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, errNoIdentity
	}
	return all, nil
}
