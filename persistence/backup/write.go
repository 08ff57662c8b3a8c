package backup

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/rookery-im/rookery/persistence"
)

// Summary says what a backup holds.
type Summary struct {
	Records uint64
	Bytes   uint64 // of names and values, before encryption
}

func (s *Summary) add(name persistence.Name, value []byte) {
	s.Records++
	s.Bytes += uint64(len(name)) + uint64(len(value))
}

// Source is the store that is written: nothing is ever changed in it.
type Source interface {
	// Scan is that of persistence.Store: it shows the records of one moment.
	Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error
}

// bufferBytes gather what goes to w, which may be a file or a network.
const bufferBytes = 256 << 10

// Write writes what the store holds at this moment, encrypted for all
// recipients: public keys, or one passphrase alone. The store may be in use; the
// backup is one point of time. w is not closed; what it got before an error is a
// backup that Restore refuses.
//
// Errors: ErrRecipients; those of the recipients, the store and w.
func Write(ctx context.Context, from Source, w io.Writer, recipients ...age.Recipient) (Summary, error) {
	if len(recipients) == 0 {
		return Summary{}, ErrRecipients
	}
	buffer := bufio.NewWriterSize(w, bufferBytes)
	sealed, err := age.Encrypt(buffer, recipients...)
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	// Until it is closed the file has no end: an error leaves a truncated one.
	var s Summary
	to := newEncoder(sealed)
	if err := to.header(); err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	err = from.Scan(ctx, "", func(name persistence.Name, value []byte) error {
		if own(name.Kind()) {
			return nil
		}
		s.add(name, value)
		return to.record(name, value)
	})
	if err == nil {
		err = to.trailer(s.Records)
	}
	if err == nil {
		err = sealed.Close()
	}
	if err == nil {
		err = buffer.Flush()
	}
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	return s, nil
}

// own tells the records that are a store's own and mean nothing in another one.
func own(kind persistence.Kind) bool {
	return kind == persistence.KindFence || kind == persistence.KindHead
}
