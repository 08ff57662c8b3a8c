package fields

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Scanner walks over the fields of one encoded message, without allocating. Its
// first error sticks and ends the walk; the methods that read a value return
// zero values from then on. For one goroutine at a time.
type Scanner struct {
	Err error
	Num protowire.Number // of the field that Next has found

	refuse  Refuse
	message string // for errors
	rest    []byte
	start   int // of the message in the input
	offset  int // of rest in the input
	seen    uint64

	// The field that Next has found.
	typ      protowire.Type
	at       int    // of its tag in the input
	value    []byte // of a length-delimited field
	valueAt  int    // of value in the input
	unsigned uint64 // of a varint field
}

// Scan starts at the first field of an input of at most limit bytes.
func Scan(message string, b []byte, limit int, refuse Refuse) Scanner {
	s := Scanner{message: message, rest: b, refuse: refuse}
	if len(b) > limit {
		s.Fail("", ErrTooLarge)
	}
	return s
}

// Next finds the next field and reports whether there is one.
func (s *Scanner) Next() bool {
	if s.Err != nil || len(s.rest) == 0 {
		return false
	}
	s.at = s.offset
	var n int
	s.Num, s.typ, n = protowire.ConsumeTag(s.rest)
	if n < 0 || s.Num > protowire.MaxValidNumber {
		return s.Fail("", ErrMalformed)
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
		return s.Fail("", ErrWireType)
	}
	if n < 0 {
		return s.Fail("", ErrMalformed)
	}
	s.advance(n)
	return true
}

func (s *Scanner) advance(n int) {
	s.rest = s.rest[n:]
	s.offset += n
}

// Fail keeps the first error, placed at the current field, and returns false.
func (s *Scanner) Fail(field string, reason error) bool {
	return s.failAt(s.at, field, reason)
}

func (s *Scanner) failAt(offset int, field string, reason error) bool {
	if s.Err == nil {
		name := s.message
		if field != "" {
			name += "." + field
		}
		s.Err = s.refuse(name, offset, reason)
	}
	return false
}

// Has reports whether a field was read. The field numbers that a message knows
// must differ in their lowest six bits.
func (s *Scanner) Has(num protowire.Number) bool {
	return s.seen&(1<<(num&63)) != 0
}

// once checks type and uniqueness of the current field.
func (s *Scanner) once(field string, typ protowire.Type) bool {
	switch {
	case s.typ != typ:
		return s.Fail(field, ErrWireType)
	case s.Has(s.Num):
		return s.Fail(field, ErrDuplicateField)
	}
	s.seen |= 1 << (s.Num & 63)
	return true
}

// Require refuses a message that ended without a field.
func (s *Scanner) Require(num protowire.Number, field string, reason error) {
	if !s.Has(num) {
		s.failAt(s.start, field, reason)
	}
}

// Element walks over one embedded message of a repeated or map field.
func (s *Scanner) Element(field, message string) Scanner {
	if s.typ != protowire.BytesType {
		s.Fail(field, ErrWireType)
	}
	return s.embedded(message)
}

// Single walks over the embedded message of a field that occurs once.
func (s *Scanner) Single(field, message string) Scanner {
	s.once(field, protowire.BytesType)
	return s.embedded(message)
}

func (s *Scanner) embedded(message string) Scanner {
	return Scanner{Err: s.Err, refuse: s.refuse, message: message, rest: s.value, start: s.valueAt, offset: s.valueAt}
}

// Bytes returns the value as part of the input; never nil if there is no error.
func (s *Scanner) Bytes(field string) []byte {
	if !s.once(field, protowire.BytesType) {
		return nil
	}
	return slices.Clip(s.value)
}

// Uint64 returns the value of a varint field.
func (s *Scanner) Uint64(field string) uint64 {
	if !s.once(field, protowire.VarintType) {
		return 0
	}
	return s.unsigned
}

// Uint32 refuses what does not fit.
func (s *Scanner) Uint32(field string) uint32 {
	v := s.Uint64(field)
	if v > math.MaxUint32 {
		s.Fail(field, ErrRange)
		return 0
	}
	return uint32(v)
}
