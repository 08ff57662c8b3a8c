package sealing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
)

// Open opens the store in a directory, or makes it. A wrong passphrase or key
// file (keyring.ErrWrongKey) is told before anything is written.
//
// The error is a *persistence.StoreError: what keyring.Open and the store below
// say, or of kind persistence.ErrCorrupt with ErrNoKeyring or ErrNoKey,
// ErrNewerFormat, ErrPermission, ErrFailed, or fs.ErrNotExist with ReadOnly. A
// store that has gone back opens without an error, see Recovery.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{options: o, turn: make(chan struct{}, 1), giveWay: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, s.failed("open", errors.Join(err, s.release()))
	}
	if o.Bound > 0 && !o.ReadOnly {
		s.startRotating(s.condition.clean.IsZero())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := s.options.checkDir(); err != nil {
		return err
	}
	if err := s.unlock(ctx); err != nil {
		return err
	}
	s.keys = make(keys)
	for _, epoch := range s.ring.Epochs() {
		s.keys[epoch.ID], _ = s.ring.AEAD(epoch.ID)
	}
	s.anchor = &anchor{files: s.options.Files, path: s.options.Anchor, store: s.ring.StoreID(), key: s.ring.AnchorKey()}
	at, missing, err := s.anchor.load()
	if err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	stored, err := s.readHead(ctx)
	isNew := false
	if errors.Is(err, persistence.ErrNotFound) {
		isNew, err = empty(ctx, s.inner)
		isNew = isNew && (missing == reasonNoAnchor || missing == "" && at == point{})
	}
	if err != nil {
		return err
	}
	reason := ""
	switch {
	case isNew:
	case stored.counter == 0:
		reason = reasonNoHead
	default:
		reason = judge(stored, at, missing)
	}
	s.head = stored
	if reason != "" {
		s.options.Logger.Warn("the store is not as it was left", "dir", s.options.Dir, "reason", reason,
			"head", stored.counter, "anchor", at.counter)
		now := uint64(max(0, s.options.Now().UnixNano()))
		s.head.recovery, s.head.pending = max(stored.recovery+1, now), true
		s.head.counter = max(stored.counter, at.counter)
	}
	s.condition.rolledBack.Store(s.head.pending)
	if s.options.ReadOnly {
		return nil
	}
	if s.head.clean && reason == "" {
		s.condition.clean = s.options.Now()
	}
	return s.beginRun(ctx, reason == "" && !isNew)
}

// unlock opens the keyring and the store below, or makes both. The keyring is
// first: a wrong passphrase must leave everything as it is. It is read again
// under the lock that the store below holds.
func (s *Store) unlock(ctx context.Context) (err error) {
	path, options := s.options.keyring()
	s.ring, err = s.openKeyring(path, options)
	known := err == nil
	if !known && (!errors.Is(err, fs.ErrNotExist) || s.options.ReadOnly) {
		return err
	}
	records, err := s.options.Records(filepath.Join(s.options.Dir, recordsDir))
	if err != nil {
		return err
	}
	s.inner = records
	if known {
		return s.ring.Reload()
	}
	// Somebody may have made it meanwhile.
	s.ring, err = keyring.Open(path, s.options.Protector, options)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch none, err := empty(ctx, s.inner); {
	case err != nil:
		return err
	case !none:
		return ErrNoKeyring
	}
	s.ring, err = keyring.Create(path, s.options.Protector, options)
	return err
}

const (
	keyringTries = 5
	keyringPause = 2 * time.Millisecond
)

// openKeyring opens the keyring without the lock of the store. Who has that may write to
// it meanwhile, to one place and then to the other: what was read while he did looks
// damaged, and is not when it is read again.
func (s *Store) openKeyring(path string, options keyring.Options) (ring *keyring.Keyring, err error) {
	for try := range keyringTries {
		if try > 0 {
			time.Sleep(keyringPause)
		}
		if ring, err = keyring.Open(path, s.options.Protector, options); !errors.Is(err, persistence.ErrCorrupt) {
			break
		}
	}
	return ring, err
}

// beginRun makes the store this run's: a fresh epoch, a first head and the
// anchor. follows says that there are records, and that the anchor belongs to
// them: it has to say so durably before they go on. It may lag by the last batch
// of the run before, and of a process that was killed both may be in nothing but
// the cache of the operating system.
func (s *Store) beginRun(ctx context.Context, follows bool) error {
	// Where no anchor can be made, its disk is not mounted for instance, that has
	// to be told before an epoch is spent and a head written that is not the
	// anchor's. Nothing but a first head follows from the zero point.
	var err error
	switch {
	case follows:
		err = s.anchor.move(s.head.point)
	case s.anchor.cell == nil:
		err = s.anchor.move(point{})
	}
	if err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	if err := s.begin(); err != nil {
		return err
	}
	// From here on there is something to forget again, whatever becomes of the run.
	s.head.previous, s.head.restored, s.head.clean = s.head.run, false, false
	if _, err := io.ReadFull(s.options.Random, s.head.run[:]); err != nil {
		return fmt.Errorf("draw the id of a run: %w", err)
	}
	if err := s.commit(ctx, persistence.Batch{}, nil); err != nil {
		return err
	}
	s.dirty = false
	s.catchUp(ctx)
	return nil
}

// readHead gives the head that the store below has. persistence.ErrNotFound.
func (s *Store) readHead(ctx context.Context) (head, error) {
	sealed, err := s.inner.Get(ctx, headName)
	if err != nil {
		return head{}, err
	}
	s.reading.RLock()
	known := s.keys
	s.reading.RUnlock()
	value, err := known.open(headName, sealed)
	if err != nil {
		return head{}, corrupt("get", headName, err)
	}
	return decodeHead(value)
}
