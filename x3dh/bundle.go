package x3dh

import (
	"fmt"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
)

const (
	// EarliestTimestamp (ns) is 2018-01-01T00:00:00Z: no bundle is believed to
	// be older, and a clock that shows less is wrong. With the upper bound below,
	// every accepted timestamp has 19 decimal digits until the year 2286, so
	// that it can be told from the version before it.
	EarliestTimestamp int64 = 1_514_764_800_000_000_000
	// maxAhead is how far ahead of our clock a bundle may be signed: one day,
	// in nanoseconds.
	maxAhead = 86_400_000_000_000
	// latestTimestamp is the last one with 19 digits.
	latestTimestamp = 9_223_372_036_854_775_807
)

// CheckBundle tells whether a bundle may be believed at the time now
// (nanoseconds since the epoch): a valid signature by the identity it names,
// every key on the curve, a timestamp in range, and signed bytes that have
// exactly one reading. All errors match ErrUntrustedBundle; any other than
// ErrBundleSignature says what its owner has signed. Nothing of a bundle may be
// kept before this returned nil (T29, T30, T31, T38).
func CheckBundle(b *wire.Bundle, now int64) error {
	if err := VerifySignature(b); err != nil {
		return err
	}
	if len(b.PreKeys) == 0 {
		return ErrBundleEmpty
	}
	if b.Timestamp < EarliestTimestamp || b.Timestamp > ahead(now) {
		return fmt.Errorf("%w: signed at %d ns", ErrBundleTimestamp, b.Timestamp)
	}
	for i := range b.PreKeys {
		id := b.PreKeys[i].InstallationID
		if len(b.PreKeys) > 1 && !isUUID(id) || !ValidInstallationID(id) {
			return fmt.Errorf("%w: installation id %d of %d", ErrBundleAmbiguous, i+1, len(b.PreKeys))
		}
		if i > 0 && b.PreKeys[i-1].InstallationID >= id {
			return fmt.Errorf("%w: installation ids are not in order", ErrBundleAmbiguous)
		}
		if curve.PublicKey(b.PreKeys[i].Key).Check() != nil {
			return fmt.Errorf("%w: signed prekey %d of %d", ErrBundleKey, i+1, len(b.PreKeys))
		}
	}
	return nil
}

// ahead is the latest acceptable timestamp, whatever the clock says.
func ahead(now int64) int64 {
	if now > latestTimestamp-maxAhead {
		return latestTimestamp
	}
	return now + maxAhead
}

// isUUID tells whether id has the 36 characters 8-4-4-4-12 of a UUID. With a
// fixed length and no byte 02 or 03, each id ends where its prekey starts, and
// the version before the next id ends 36 bytes before the next prekey.
func isUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}

// maxPlainID keeps a lone id shorter than any two entries, so that its bundle
// cannot be read as one of two installations.
const maxPlainID = 100

// ValidInstallationID tells whether an id can stand in a bundle of its own: 1 to
// 100 printable ASCII characters and not "none". Its prekey starts with 02 or
// 03, so such an id cannot reach into it. In a bundle of several installations
// ids have to be UUIDs.
func ValidInstallationID(id string) bool {
	if id == "" || id == wire.NoInstallation || len(id) > maxPlainID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
