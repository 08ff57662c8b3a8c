package wire

import (
	"math"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// scanner walks over the fields of one encoded message, without allocating. Its
// first error sticks and ends the walk; the methods that read a value return
// zero values from then on.
type scanner struct {
	message string // for errors
	rest    []byte
	start   int // of the message in the input
	offset  int // of rest in the input
	seen    uint64
	known   string // an id that is likely to come again
	err     error

	// The field that next has found.
	num      protowire.Number
	typ      protowire.Type
	at       int    // of its tag in the input
	value    []byte // of a length-delimited field
	valueAt  int    // of value in the input
	unsigned uint64 // of a varint field
}

func scan(message string, b []byte, offset int) scanner {
	return scanner{message: message, rest: b, start: offset, offset: offset}
}

// next finds the next field and reports whether there is one.
func (s *scanner) next() bool {
	if s.err != nil || len(s.rest) == 0 {
		return false
	}
	s.at = s.offset
	var n int
	s.num, s.typ, n = protowire.ConsumeTag(s.rest)
	if n < 0 || s.num > protowire.MaxValidNumber {
		return s.fail("", ErrMalformed)
	}
	s.advance(n)
	switch s.typ {
	case protowire.VarintType:
		s.unsigned, n = protowire.ConsumeVarint(s.rest)
	case protowire.BytesType:
		s.value, n = protowire.ConsumeBytes(s.rest)
		s.valueAt = s.offset + n - len(s.value)
	case protowire.Fixed32Type:
		_, n = protowire.ConsumeFixed32(s.rest)
	case protowire.Fixed64Type:
		_, n = protowire.ConsumeFixed64(s.rest)
	default:
		// Groups nest to any depth for two bytes a level, and proto3 has none.
		return s.fail("", ErrWireType)
	}
	if n < 0 {
		return s.fail("", ErrMalformed)
	}
	s.advance(n)
	return true
}

func (s *scanner) advance(n int) {
	s.rest = s.rest[n:]
	s.offset += n
}

// fail keeps the first error, placed at the current field, and returns false.
func (s *scanner) fail(field string, reason error) bool {
	return s.failAt(s.at, field, reason)
}

func (s *scanner) failAt(offset int, field string, reason error) bool {
	if s.err == nil {
		name := s.message
		if field != "" {
			name += "." + field
		}
		s.err = &DecodeError{Field: name, Offset: offset, Reason: reason}
	}
	return false
}

// count walks over a copy and says how often a field occurs. Damage is left to
// the walk that reads the values.
func (s scanner) count(num protowire.Number, field string, limit int) (int, error) {
	n := 0
	for s.next() {
		if s.num != num {
			continue
		}
		if n++; n > limit {
			s.fail(field, ErrTooMany)
			return 0, s.err
		}
	}
	return n, nil
}

// has reports whether a field was read. The field numbers of the format (1 to 5,
// 101, 102) fall on different bits.
func (s *scanner) has(num protowire.Number) bool {
	return s.seen&(1<<(num&63)) != 0
}

// once checks type and uniqueness of the current field.
func (s *scanner) once(field string, typ protowire.Type) bool {
	switch {
	case s.typ != typ:
		return s.fail(field, ErrWireType)
	case s.has(s.num):
		return s.fail(field, ErrDuplicateField)
	}
	s.seen |= 1 << (s.num & 63)
	return true
}

// require refuses a message that ended without a field.
func (s *scanner) require(num protowire.Number, field string, reason error) {
	if !s.has(num) {
		s.failAt(s.start, field, reason)
	}
}

// element reads one embedded message of a repeated or map field; single one of a
// field that occurs once.
func (s *scanner) element(field, message string) scanner {
	if s.typ != protowire.BytesType {
		s.fail(field, ErrWireType)
		return scanner{err: s.err}
	}
	return scan(message, s.value, s.valueAt)
}

func (s *scanner) single(field, message string) scanner {
	if !s.once(field, protowire.BytesType) {
		return scanner{err: s.err}
	}
	return scan(message, s.value, s.valueAt)
}

// bytes returns the value as part of the input, nil for an empty one.
func (s *scanner) bytes(field string) []byte {
	if !s.once(field, protowire.BytesType) || len(s.value) == 0 {
		return nil
	}
	return slices.Clip(s.value)
}

func (s *scanner) publicKey(field string) (key PublicKey) {
	b := s.bytes(field)
	s.checkKey(field, b, len(key))
	copy(key[:], b)
	return key
}

// ratchetKey returns the value as part of the input.
func (s *scanner) ratchetKey(field string) []byte {
	b := s.bytes(field)
	if len(b) != curve25519KeyLength {
		s.checkKey(field, b, len(PublicKey{}))
	}
	return b
}

// curve25519KeyLength is in bytes; every value of that length is a key.
const curve25519KeyLength = 32

func (s *scanner) checkKey(field string, b []byte, length int) {
	switch {
	case len(b) != length:
		s.fail(field, ErrKeyLength)
	case b[0] != 2 && b[0] != 3:
		s.fail(field, ErrKeyPrefix)
	}
}

func (s *scanner) signature(field string) (sig [65]byte) {
	b := s.bytes(field)
	if len(b) != len(sig) {
		s.fail(field, ErrSignatureLength)
	}
	copy(sig[:], b)
	return sig
}

// recipient reads an installation id or NoInstallation.
func (s *scanner) recipient(field string) string {
	b := s.bytes(field)
	switch {
	case len(b) == 0 || len(b) > MaxInstallationIDLength:
		s.fail(field, ErrInstallationID)
		return ""
	case !utf8.Valid(b):
		s.fail(field, ErrInvalidUTF8)
		return ""
	case string(b) == s.known:
		return s.known
	}
	return string(b)
}

func (s *scanner) installationID(field string) string {
	id := s.recipient(field)
	if id == NoInstallation {
		s.fail(field, ErrInstallationID)
	}
	return id
}

func (s *scanner) uint64(field string) uint64 {
	if !s.once(field, protowire.VarintType) {
		return 0
	}
	return s.unsigned
}

func (s *scanner) uint32(field string) uint32 {
	v := s.uint64(field)
	if v > math.MaxUint32 {
		s.fail(field, ErrRange)
		return 0
	}
	return uint32(v)
}
