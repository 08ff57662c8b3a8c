package sealing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/keyring"
)

const (
	keyringFile = "keyring"
	anchorFile  = "anchor"
	recordsDir  = "records"

	defaultBound = time.Hour
	dirMode      = fs.FileMode(0o700)
)

// Options of a sealed store. Dir, Protector and Records are needed.
type Options struct {
	// Dir is the directory of the store: the keyring, the anchor and, in the
	// directory "records", what Records opens.
	Dir string
	// Anchor is the path of the anchor; default "anchor" in Dir. On another disk,
	// say, it tells also when the whole of Dir is put back from a copy. Its
	// directory has to exist.
	Anchor string
	// Protector opens the keyring.
	Protector keyring.Protector
	// Files is where the keyring and the anchor lie; default the operating system's.
	Files cell.FS
	// Records opens the store below in a directory, and makes the directory and
	// what is missing above it. It holds the lock of the directory until it is
	// closed. With ReadOnly it has to open it for reading only.
	Records func(dir string) (persistence.Store, error)
	// Bound is how long a consumed key can be recovered from the disk at most
	// while the store is open; default an hour. An epoch lasts half of it, and
	// sealing the records anew at most a quarter. Below 0 nothing is rotated in
	// the background.
	Bound time.Duration
	// ReadOnly opens the store as it is and changes nothing; what would change it
	// gives ErrReadOnly.
	ReadOnly bool
	Random   io.Reader        // default crypto/rand.Reader
	Now      func() time.Time // default time.Now; for the dates of epochs
	Logger   *slog.Logger     // default none; never gets a value or a key
}

func (o Options) withDefaults() Options {
	if o.Anchor == "" {
		o.Anchor = filepath.Join(o.Dir, anchorFile)
	}
	if o.Files == nil {
		o.Files = cell.OS
	}
	if o.Bound == 0 {
		o.Bound = defaultBound
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) keyring() (path string, options keyring.Options) {
	return filepath.Join(o.Dir, keyringFile), keyring.Options{FS: o.Files, Random: o.Random, Now: o.Now}
}

// checkDir refuses a directory with files that others than its user may enter:
// they may have read what is there. An empty one becomes private. A missing one
// is the business of who makes it.
func (o Options) checkDir() error {
	if o.Files != cell.OS || runtime.GOOS == "windows" {
		return nil
	}
	info, err := os.Stat(o.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return persistence.ErrNotDirectory
	case info.Mode().Perm()&^dirMode == 0:
		return nil
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 || o.ReadOnly {
		return fmt.Errorf("%w: mode %04o lets others in, want %04o", persistence.ErrPermission, info.Mode().Perm(), dirMode)
	}
	return os.Chmod(o.Dir, dirMode)
}

// empty tells whether a store has no record at all.
func empty(ctx context.Context, records persistence.Store) (bool, error) {
	none := true
	err := records.ScanAfter(ctx, "", 1, func(persistence.Name, []byte) error {
		none = false
		return nil
	})
	return none, err
}
