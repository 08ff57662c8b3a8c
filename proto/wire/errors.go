package wire

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/proto/internal/fields"
)

// Reasons for which a decoder refuses its input; to be tested for with errors.Is
// on the error of Decode and DecodeBundle.
var (
	// ErrTooLarge: the input is longer than MaxMessageSize or MaxBundleSize.
	ErrTooLarge = fields.ErrTooLarge
	// ErrTooMany: more entries, bundles or prekeys than the limits allow.
	ErrTooMany = errors.New("too many")
	// ErrMalformed: not the protobuf wire format: a truncated or overlong varint,
	// a length beyond the end, an invalid field number.
	ErrMalformed = fields.ErrMalformed
	// ErrWireType: a known field with another type than its own, or a group.
	ErrWireType = fields.ErrWireType
	// ErrDuplicateField: a field that can be there once is there twice. Readers
	// differ in what they make of it (the first, the last, both merged), and no
	// sender writes it.
	ErrDuplicateField = fields.ErrDuplicateField
	// ErrDuplicateKey: two map entries with the same installation id.
	ErrDuplicateKey = errors.New("duplicate installation id")
	// ErrKeyLength: a key that is missing or has the wrong number of bytes.
	ErrKeyLength = errors.New("wrong key length")
	// ErrKeyPrefix: a compressed point that starts with neither 0x02 nor 0x03.
	ErrKeyPrefix = errors.New("wrong key prefix")
	// ErrSignatureLength: a signature that is missing or not 65 bytes.
	ErrSignatureLength = errors.New("wrong signature length")
	// ErrInstallationID: an installation id that is empty, longer than
	// MaxInstallationIDLength, or NoInstallation where an installation is meant.
	ErrInstallationID = errors.New("invalid installation id")
	// ErrInvalidUTF8: an installation id that is not UTF-8.
	ErrInvalidUTF8 = errors.New("invalid UTF-8")
	// ErrRange: a number that does not fit its field's type.
	ErrRange = fields.ErrRange
)

// DecodeError says what was refused and where, and nothing of the content.
type DecodeError struct {
	// Field is the field as protocol.proto names it, with its message, or the
	// message alone when no field can be named.
	Field string
	// Offset is where the field or the damage begins, in bytes from the start of
	// the input.
	Offset int
	// Reason is one of the sentinels of this package.
	Reason error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("wire: %s at byte %d: %v", e.Field, e.Offset, e.Reason)
}

func (e *DecodeError) Unwrap() error { return e.Reason }

func refuse(field string, offset int, reason error) error {
	return &DecodeError{Field: field, Offset: offset, Reason: reason}
}
