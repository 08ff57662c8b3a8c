package rookery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/rookery-im/rookery/persistence/backup"
	"github.com/rookery-im/rookery/persistence/cell"
)

// Backup writes everything that is durable at this moment to w, encrypted for
// all recipients: age public keys, whose private halves this host need not have,
// or one passphrase (age.NewScryptRecipient). Traffic goes on meanwhile and is
// not in it. w is not closed; after an error it holds nothing that can be
// restored. Close waits for it.
//
// A backup brings back identities and contacts, not sessions: restored
// installations get successors, see Identity.Retired.
func (e *Engine) Backup(ctx context.Context, w io.Writer, recipients ...age.Recipient) (backup.Summary, error) {
	if err := e.accepting(); err != nil {
		return backup.Summary{}, err
	}
	return backup.Write(ctx, e.store, w, recipients...)
}

// partialSuffix names the directory in which a store is restored.
const partialSuffix = ".partial"

// Restore makes a new store in options.Dir, which must be empty or not exist, out
// of a backup. Its first Open gives every installation a successor. Of the other
// options Unlock is needed, which may be another one than before, and Anchor,
// Logger, Now and Random count.
//
// After an error there is no store. A process that is killed meanwhile leaves a
// directory beside it, named Dir and ".partial", that has to be deleted before
// the next try. Errors: ErrOptions; fs.ErrExist for either directory; those of
// package backup; those of Open.
func Restore(ctx context.Context, options Options, r io.Reader, identities ...age.Identity) (backup.Summary, error) {
	options = options.withDefaults()
	if options.Dir == "" || options.Unlock == nil || options.Store != nil {
		return backup.Summary{}, fmt.Errorf("%w: a directory and what unlocks it are needed", ErrOptions)
	}
	dir := filepath.Clean(options.Dir)
	partial := dir + partialSuffix
	if err := makeAlone(dir, partial); err != nil {
		return backup.Summary{}, err
	}
	options.Dir = partial
	summary, err := options.restore(ctx, r, identities)
	if err == nil {
		err = os.Rename(partial, dir) // fails if somebody has put something there
	}
	if err != nil {
		return backup.Summary{}, errors.Join(err, os.RemoveAll(partial))
	}
	return summary, cell.OS.SyncDir(filepath.Dir(dir))
}

// makeAlone makes the partial directory for this call alone, if the other one is
// free.
func makeAlone(dir, partial string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("rookery: restore into %s: %w", dir, fs.ErrExist)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(partial, 0o700); err != nil {
		return fmt.Errorf("rookery: restore into %s, which another restore is at work in or has left: %w", partial, err)
	}
	return nil
}

// restore fills the store in the partial directory and closes it.
func (o Options) restore(ctx context.Context, r io.Reader, identities []age.Identity) (backup.Summary, error) {
	// An anchor elsewhere may be that of the store before: it is left alone. A
	// restored store has no use for one until it has been opened.
	elsewhere := o.Anchor != ""
	o.Anchor = ""
	store, _, err := o.open(ctx)
	if err != nil {
		return backup.Summary{}, err
	}
	summary, err := backup.Restore(ctx, r, store.(backup.Target), identities...) // as all stores in directories are
	err = errors.Join(err, store.Close())
	if err == nil && elsewhere {
		err = os.Remove(filepath.Join(o.Dir, "anchor"))
	}
	return summary, err
}
