package segment

import "errors"

// The causes this package reports. A refused segment leaves the unfinished whole
// as it was.
var (
	// ErrSize: a whole to be cut into segments of no byte.
	ErrSize = errors.New("segment: size of segments out of range")
	// ErrLimits: limits that no segment can keep.
	ErrLimits = errors.New("segment: impossible limits")
	// ErrCount: numbers that no segment has: an index at or above its count, a
	// count below 2 or above MaxSegments.
	ErrCount = errors.New("segment: count or index out of range")
	// ErrInconsistent: a segment that contradicts those of the same whole: another
	// count, a length that does not fit, other content under the same index.
	ErrInconsistent = errors.New("segment: contradicts other segments")
	// ErrTooLarge: a whole of more bytes or segments than the limits allow.
	ErrTooLarge = errors.New("segment: too large")
	// ErrHash: the segments together are not what their hash says. All that could
	// be wrong is thrown away.
	ErrHash = errors.New("segment: hash of the whole differs")
)
