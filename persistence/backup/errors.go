package backup

import (
	"errors"
	"fmt"
)

// What can be wrong with a backup, for errors.Is. One written by a newer release
// is persistence.ErrNewerFormat.
var (
	// ErrNotBackup: the stream is no age file, or one of something else.
	ErrNotBackup = errors.New("not a backup of a store")
	// ErrWrongKey: none of the keys or passphrases given opens the backup.
	ErrWrongKey = errors.New("no key that was given opens the backup")
	// ErrDamaged: the backup is not as it was written.
	ErrDamaged = errors.New("backup is damaged")
	// ErrTruncated: the backup ends early. It is ErrDamaged.
	ErrTruncated = fmt.Errorf("%w: it ends early", ErrDamaged)
	// ErrNotEmpty: the store to restore into has records.
	ErrNotEmpty = errors.New("store is not empty")
	// ErrRecipients: a backup needs somebody who can open it.
	ErrRecipients = errors.New("no recipient for the backup")
)
