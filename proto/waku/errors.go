package waku

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/proto/internal/fields"
)

// Reasons for which a decoder refuses its input and Encode a message; to be
// tested for with errors.Is.
var (
	// ErrTooLarge: longer than MaxSentSize or MaxReceivedSize.
	ErrTooLarge = fields.ErrTooLarge
	// ErrMalformed: not the protobuf wire format: a truncated or overlong varint,
	// a length beyond the end, an invalid field number.
	ErrMalformed = fields.ErrMalformed
	// ErrWireType: a known field with another type than its own, or a group.
	ErrWireType = fields.ErrWireType
	// ErrDuplicateField: a field is there twice. Readers differ in which one they
	// believe, and no sender writes it.
	ErrDuplicateField = fields.ErrDuplicateField
	// ErrRange: a number that does not fit its field's type.
	ErrRange = fields.ErrRange
	// ErrTopic: a content topic that is longer than MaxTopicLength or not UTF-8.
	ErrTopic = errors.New("invalid content topic")
	// ErrMetaLength: a meta field of more than MaxMetaLength bytes.
	ErrMetaLength = errors.New("meta too long")
	// ErrNoSegment: what every segment has, a hash of 32 bytes and a payload, is
	// not there.
	ErrNoSegment = errors.New("not a segment")
)

// FieldError says what was refused and where, and nothing of the content.
type FieldError struct {
	// Field is the field as waku.proto names it, with its message, or the message
	// alone when no field can be named.
	Field string
	// Reason is one of the sentinels of this package.
	Reason error
}

func (e *FieldError) Error() string { return fmt.Sprintf("waku: %s: %v", e.Field, e.Reason) }

func (e *FieldError) Unwrap() error { return e.Reason }

func refuse(field string, _ int, reason error) error {
	return &FieldError{Field: field, Reason: reason}
}
