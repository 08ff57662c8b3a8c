package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/rookery-im/rookery/persistence"
)

// Target is a new store.
type Target interface {
	persistence.Store
	// MarkRestored makes the store's next opening a recovery, durably.
	MarkRestored(ctx context.Context) error
}

// ageMagic starts every age file.
const ageMagic = "age-encryption.org/"

// Batches of a restore are bounded by whichever comes first.
const (
	batchRecords = 1024
	batchBytes   = 4 << 20
)

// Restore puts a backup into a store without records and, as its last step,
// marks the store as restored. After an error the store holds a part of the
// backup and is not marked: it must not be used.
//
// Errors: ErrNotEmpty, and then nothing was written; ErrNotBackup, ErrWrongKey,
// ErrDamaged, persistence.ErrNewerFormat; those of r and of the store.
func Restore(ctx context.Context, r io.Reader, to Target, identities ...age.Identity) (Summary, error) {
	s, err := restore(ctx, r, to, identities)
	if err != nil {
		return Summary{}, fmt.Errorf("restore: %w", err)
	}
	return s, nil
}

func restore(ctx context.Context, r io.Reader, to Target, identities []age.Identity) (s Summary, err error) {
	if err := empty(ctx, to); err != nil {
		return s, err
	}
	from, err := open(r, identities)
	if err != nil {
		return s, err
	}
	var batch persistence.Batch
	size := 0
	flush := func() error {
		err := to.Apply(ctx, batch)
		batch.Records, size = nil, 0
		return err
	}
	for {
		record, err := from.next()
		if err == io.EOF { //nolint:errorlint // as it is: a wrapped one is no end
			break
		}
		if err != nil {
			return s, err
		}
		s.add(record.Name, record.Value)
		batch.Records = append(batch.Records, record)
		size += len(record.Name) + len(record.Value)
		if len(batch.Records) >= batchRecords || size >= batchBytes {
			if err := flush(); err != nil {
				return s, err
			}
		}
	}
	if len(batch.Records) > 0 {
		if err := flush(); err != nil {
			return s, err
		}
	}
	return s, to.MarkRestored(ctx)
}

// empty refuses a store that somebody may be using.
func empty(ctx context.Context, store persistence.Store) error {
	return store.Scan(ctx, "", func(name persistence.Name, _ []byte) error {
		return fmt.Errorf("%w: it has %s", ErrNotEmpty, name)
	})
}

// open decrypts a backup and reads its header.
func open(r io.Reader, identities []age.Identity) (*decoder, error) {
	if len(identities) == 0 {
		return nil, ErrWrongKey
	}
	from := &source{Reader: r}
	buffer := bufio.NewReader(from)
	switch start, _ := buffer.Peek(len(ageMagic)); {
	case from.err != nil:
		return nil, from.err
	case string(start) != ageMagic:
		return nil, ErrNotBackup
	}
	opened, err := age.Decrypt(buffer, identities...)
	if err != nil {
		if from.err != nil {
			return nil, from.err
		}
		if wrong := (*age.NoIdentityMatchError)(nil); errors.As(err, &wrong) {
			return nil, ErrWrongKey // or its header was altered, just there
		}
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	d := newDecoder(&authentic{from: from, opened: opened})
	return d, d.header()
}

// source remembers how reading failed, to tell a bad disk from a bad backup.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// authentic gives age's errors their meaning.
type authentic struct {
	from   *source
	opened io.Reader
}

func (a *authentic) Read(p []byte) (int, error) {
	n, err := a.opened.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case a.from.err != nil:
		return n, a.from.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, ErrTruncated
	}
	return n, fmt.Errorf("%w: %w", ErrDamaged, err)
}
