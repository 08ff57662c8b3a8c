package persistence

import (
	"errors"
	"fmt"
)

// What can be wrong, for errors.Is. The errors that stores return wrap one of
// these and name the record (*RecordError) or the directory (*StoreError).
var (
	// ErrNotFound: there is no record of that name.
	ErrNotFound = errors.New("no such record")
	// ErrClosed: the store or committer was closed before.
	ErrClosed = errors.New("closed")
	// ErrFenced: someone else has taken ownership since; see FencedError.
	ErrFenced = errors.New("ownership has moved on")
	// ErrLocked: another process, or another store of this one, has the directory open.
	ErrLocked = errors.New("directory is in use")
	// ErrCorrupt: what is on disk is not what was written.
	ErrCorrupt = errors.New("store is corrupt")
	// ErrPermission: the process may not use the directory, or others may read it.
	ErrPermission = errors.New("wrong permissions")
	// ErrNotDirectory: the path names something that is not a directory.
	ErrNotDirectory = errors.New("not a directory")
	// ErrNewerFormat: a newer release has written the store.
	ErrNewerFormat = errors.New("written by a newer release")
	// ErrFailed: the disk has failed under the store. After a failed write nothing
	// works until the store is opened again.
	ErrFailed = errors.New("store has failed")
	// ErrFull: the disk has no space left for the store, or its user has used up
	// his quota. What is durable can be read, and as soon as there is space the
	// store writes again by itself.
	ErrFull = errors.New("disk is full")
	// ErrReadOnly: the disk may only be read, which is as with ErrFull, or the
	// store was opened for that.
	ErrReadOnly = errors.New("may only be read")
	// ErrStreamFailed: an earlier commit of the same stream failed, see Stream.
	ErrStreamFailed = errors.New("an earlier commit of this stream failed")
	// ErrBadName: a name that NewName does not build, or one reserved to the store.
	ErrBadName = errors.New("bad record name")
)

// Lasting tells whether trying again is of no use before the store was opened
// again: its records are wrong, or it has failed or was closed.
func Lasting(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFailed) || errors.Is(err, ErrClosed)
}

// NameError tells what is wrong with a name. It is ErrBadName.
type NameError struct {
	Name   Name
	Reason string
}

// Error names the record and the reason.
func (e *NameError) Error() string {
	return fmt.Sprintf("%v %s: %s", ErrBadName, e.Name, e.Reason)
}

// Unwrap makes it ErrBadName.
func (e *NameError) Unwrap() error { return ErrBadName }

// RecordError is a failure to read or write one record.
type RecordError struct {
	Op   string // "get", "scan"
	Name Name
	Err  error
}

// Error names the operation and the record, never its value.
func (e *RecordError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Op, e.Name, e.Err)
}

// Unwrap gives the cause.
func (e *RecordError) Unwrap() error { return e.Err }

// StoreError is a failure of a whole store.
type StoreError struct {
	Op   string // "open", "read", "apply", "own", "close"
	Path string // the directory
	Kind error  // one of the sentinels above
	Err  error  // the cause, or nil
}

// Error names the operation, the directory, the kind and the cause.
func (e *StoreError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s store %s: %v", e.Op, e.Path, e.Kind)
	}
	return fmt.Sprintf("%s store %s: %v: %v", e.Op, e.Path, e.Kind, e.Err)
}

// Unwrap gives the kind and the cause.
func (e *StoreError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// FencedError says whose batch was refused: it carried epoch Have while the
// store has Stored. It is ErrFenced.
type FencedError struct {
	Owner  OwnerID
	Have   uint64
	Stored uint64
}

// Error names the owner and both epochs.
func (e *FencedError) Error() string {
	return fmt.Sprintf("owner %s: %v: epoch %d, the store has %d", e.Owner, ErrFenced, e.Have, e.Stored)
}

// Unwrap makes it ErrFenced.
func (e *FencedError) Unwrap() error { return ErrFenced }
