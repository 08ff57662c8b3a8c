package fingerprint

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/rookery-im/rookery/x3dh"
)

const (
	version = 0
	// iterations make each guess of somebody who looks for a key with the same
	// digits as dear as 5200 hashes.
	iterations = 5200
	groups     = 6 // of each of the two identities
	groupBytes = 5
)

// SafetyNumber gives 60 digits in 12 groups of 5, separated by spaces. It is the
// same for (a, b) and (b, a). The number is public; it takes some milliseconds.
func SafetyNumber(a, b x3dh.IdentityPublicKey) string {
	first, second := half(a), half(b)
	if second < first {
		first, second = second, first
	}
	return first + " " + second
}

// half gives the digits of one identity: about 100 bits.
func half(identity x3dh.IdentityPublicKey) string {
	buf := binary.BigEndian.AppendUint16(make([]byte, 0, sha512.Size+len(identity)), version)
	buf = append(buf, identity[:]...)
	for range iterations {
		sum := sha512.Sum512(append(buf, identity[:]...))
		buf = append(buf[:0], sum[:]...)
	}
	digits := make([]string, groups)
	for i := range digits {
		var number [8]byte
		copy(number[8-groupBytes:], buf[i*groupBytes:])
		digits[i] = fmt.Sprintf("%05d", binary.BigEndian.Uint64(number[:])%100_000)
	}
	return strings.Join(digits, " ")
}
