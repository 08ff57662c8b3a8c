package sealing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
)

// What can be wrong, for errors.Is, besides what packages persistence and
// keyring say.
var (
	// ErrNoKey: a value is sealed under an epoch whose key has been destroyed: an
	// older copy of it was put back. It is persistence.ErrCorrupt too.
	ErrNoKey = errors.New("the key of its epoch is destroyed")
	// ErrNoKeyring: there are records but no keyring that opens them. It is
	// persistence.ErrCorrupt too.
	ErrNoKeyring = fmt.Errorf("%w: keyring is missing", persistence.ErrCorrupt)
	// ErrReadOnly: the store was opened for reading only.
	ErrReadOnly = errors.New("opened for reading only")

	errAuthentication = errors.New("value does not authenticate")
	errTooShort       = errors.New("value is too short to be a sealed one")
	errValueFormat    = errors.New("value has an unknown format")
)

// failureKinds are the kinds that a failure of the whole store can have.
var failureKinds = []error{
	persistence.ErrNewerFormat, persistence.ErrPermission, persistence.ErrNotDirectory, persistence.ErrLocked, persistence.ErrClosed,
	keyring.ErrWrongKey, keyring.ErrKeyFile, keyring.ErrEmptyPassphrase, keyring.ErrTooManyEpochs, persistence.ErrCorrupt,
	fs.ErrNotExist,
}

// failed gives a failure its kind, unless it has one or is the context's.
func (s *Store) failed(op string, err error) error {
	var told *persistence.StoreError
	if err == nil || errors.As(err, &told) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	kind := diskKind(err)
	if i := slices.IndexFunc(failureKinds, func(k error) bool { return errors.Is(err, k) }); i >= 0 {
		kind = failureKinds[i]
	}
	return &persistence.StoreError{Op: op, Path: s.options.Dir, Kind: kind, Err: err}
}

// diskKind is the kind of a write that failed.
func diskKind(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return persistence.ErrFull
	case errors.Is(err, syscall.EROFS):
		return persistence.ErrReadOnly
	case errors.Is(err, syscall.ENOTDIR):
		return persistence.ErrNotDirectory
	case errors.Is(err, fs.ErrPermission):
		return persistence.ErrPermission
	}
	return persistence.ErrFailed
}

// corrupt is what a record that cannot be opened gives.
func corrupt(op string, name persistence.Name, cause error) error {
	return &persistence.RecordError{Op: op, Name: name, Err: fmt.Errorf("%w: %w", persistence.ErrCorrupt, cause)}
}
