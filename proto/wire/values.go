package wire

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rookery-im/rookery/proto/internal/fields"
)

// The functions below read the values that this format has besides those of
// protobuf from the current field. They return zero values from the first error
// on.

// count walks over a copy and says how often a field occurs. Damage is left to
// the walk that reads the values.
func count(s fields.Scanner, num protowire.Number, field string, limit int) (int, error) {
	n := 0
	for s.Next() {
		if s.Num != num {
			continue
		}
		if n++; n > limit {
			s.Fail(field, ErrTooMany)
			return 0, s.Err
		}
	}
	return n, nil
}

// readBytes returns the value as part of the input, nil for an empty one.
func readBytes(s *fields.Scanner, field string) []byte {
	if b := s.Bytes(field); len(b) > 0 {
		return b
	}
	return nil
}

func readPublicKey(s *fields.Scanner, field string) (key PublicKey) {
	b := s.Bytes(field)
	checkKey(s, field, b, len(key))
	copy(key[:], b)
	return key
}

// readRatchetKey returns the value as part of the input.
func readRatchetKey(s *fields.Scanner, field string) []byte {
	b := s.Bytes(field)
	if len(b) != curve25519KeyLength {
		checkKey(s, field, b, len(PublicKey{}))
	}
	return b
}

// curve25519KeyLength is in bytes; every value of that length is a key.
const curve25519KeyLength = 32

func checkKey(s *fields.Scanner, field string, b []byte, length int) {
	switch {
	case len(b) != length:
		s.Fail(field, ErrKeyLength)
	case b[0] != 2 && b[0] != 3:
		s.Fail(field, ErrKeyPrefix)
	}
}

func readSignature(s *fields.Scanner, field string) (sig [65]byte) {
	b := s.Bytes(field)
	if len(b) != len(sig) {
		s.Fail(field, ErrSignatureLength)
	}
	copy(sig[:], b)
	return sig
}

// readRecipient reads an installation id or NoInstallation. known is an id that
// it is likely to be, "" if there is none.
func readRecipient(s *fields.Scanner, field, known string) string {
	b := s.Bytes(field)
	switch {
	case len(b) == 0 || len(b) > MaxInstallationIDLength:
		s.Fail(field, ErrInstallationID)
		return ""
	case !utf8.Valid(b):
		s.Fail(field, ErrInvalidUTF8)
		return ""
	case string(b) == known:
		return known
	}
	return string(b)
}

func readInstallationID(s *fields.Scanner, field, known string) string {
	id := readRecipient(s, field, known)
	if id == NoInstallation {
		s.Fail(field, ErrInstallationID)
	}
	return id
}
