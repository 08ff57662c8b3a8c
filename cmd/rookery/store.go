package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// StoreCmd is what operators do with a store.
type StoreCmd struct {
	Check   StoreCheckCmd   `cmd:"" help:"Open and decode every record and say what is wrong. Writes nothing."`
	Stats   StoreStatsCmd   `cmd:"" help:"Say what a store holds. Writes nothing."`
	Backup  StoreBackupCmd  `cmd:"" help:"Write an encrypted backup of a store. Changes nothing in it."`
	Restore StoreRestoreCmd `cmd:"" help:"Make a new store out of a backup."`
	Rekey   StoreRekeyCmd   `cmd:"" help:"Seal every record under a new key and destroy the older keys."`
	Passwd  StorePasswdCmd  `cmd:"" help:"Change the passphrase or the key file."`
}

// storePlace says which store, and what opens it.
type storePlace struct {
	Dir string `arg:"" type:"path" help:"Directory of the store."`
	opener
}

// opener is what opens a store.
type opener struct {
	Anchor         string `name:"anchor" type:"path" placeholder:"FILE" help:"The rollback guard's file, if it is not in the directory."`
	KeyFile        string `name:"key-file" type:"path" xor:"key" placeholder:"FILE" help:"The key file that opens the store; else ROOKERY_KEY_FILE or ROOKERY_PASSPHRASE."`
	PassphraseFile string `name:"passphrase-file" type:"path" xor:"key" placeholder:"FILE" help:"A file with the passphrase that opens the store."`
}

// unlock gives what opens the store.
func (p *opener) unlock() (keyring.Protector, error) {
	if p.KeyFile == "" && p.PassphraseFile == "" {
		return keyring.FromEnvironment(os.LookupEnv)
	}
	return protector(p.KeyFile, p.PassphraseFile)
}

// file names the file that opens the store, "" if a passphrase in the environment does.
func (p *opener) file() string {
	return cmp.Or(p.KeyFile, p.PassphraseFile, os.Getenv(keyring.KeyFileVariable))
}

// protector is one of a key file and a file with a passphrase.
func protector(key, passphrase string) (keyring.Protector, error) {
	if key != "" {
		return keyring.KeyFile(key), nil
	}
	text, err := readPassphrase(passphrase)
	if err != nil {
		return nil, err
	}
	return keyring.Passphrase(text), nil
}

// maxPassphrase in bytes: a longer file is not one.
const maxPassphrase = 4096

// readPassphrase reads a file with one line. It may be a pipe; one that lies on
// the disk must be its user's alone.
func readPassphrase(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("passphrase file %s: %w: others may read it", path, persistence.ErrPermission)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxPassphrase+1))
	if err != nil {
		return "", fmt.Errorf("passphrase file %s: %w", path, err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if line == "" || len(text) > maxPassphrase || strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("passphrase file %s: it has to hold one line of at most %d bytes", path, maxPassphrase)
	}
	return line, nil
}

// open opens the store for writing; close it to release the directory.
func (p *storePlace) open(ctx context.Context) (*sealing.Store, error) {
	return p.start(ctx, false)
}

// read opens the store to be looked at: nothing is written.
func (p *storePlace) read(ctx context.Context) (*sealing.Store, error) {
	return p.start(ctx, true)
}

func (p *storePlace) start(ctx context.Context, readOnly bool) (*sealing.Store, error) {
	store, err := p.tryStart(ctx, readOnly)
	return store, explained(err)
}

// tryStart is start without advice.
func (p *storePlace) tryStart(ctx context.Context, readOnly bool) (*sealing.Store, error) {
	if err := exists(p.Dir); err != nil {
		return nil, err
	}
	key, err := p.unlock()
	if err != nil {
		return nil, err
	}
	return sealing.Open(ctx, sealing.Options{
		Dir:       p.Dir,
		Anchor:    p.Anchor,
		Protector: key,
		ReadOnly:  readOnly,
		Bound:     -1, // nothing in the background: a command rotates or does not
		Records: func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{ReadOnly: readOnly})
		},
	})
}

var errNoStore = errors.New("there is no store")

// exists refuses what is no store: opening it would make one.
func exists(dir string) error {
	for _, part := range []string{"keyring", "records"} { // records alone are a store that has lost its keyring
		if _, err := os.Stat(filepath.Join(dir, part)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("%w in %s", errNoStore, dir)
}

// interruptible ends a command's work in order, so that it can clean up. The second
// signal ends the process: what waits for its input hears no context.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
