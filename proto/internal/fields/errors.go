package fields

import "errors"

// Reasons for which the walk refuses its input. The formats export them, with
// what they mean there.
var (
	ErrTooLarge       = errors.New("too large")
	ErrMalformed      = errors.New("malformed")
	ErrWireType       = errors.New("wrong wire type")
	ErrDuplicateField = errors.New("duplicate field")
	ErrRange          = errors.New("number out of range")
)

// Refuse makes a format's own error: field is the field with its message, or the
// message alone; offset is where it begins, in bytes from the start of the input.
type Refuse func(field string, offset int, reason error) error
