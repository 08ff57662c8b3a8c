package hmacsha256

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
)

// stretchStandard is the portable path: the standard library keeps the keyed
// states too, which a Key of this path does not.
func stretchStandard(out *[Size]byte, password, salt []byte, rounds int) {
	key, err := pbkdf2.Key(sha256.New, string(password), salt, rounds, Size)
	if err != nil {
		// Only a process that allows nothing but FIPS 140 refuses a password or
		// a salt; nothing else of this module runs there either.
		panic(fmt.Sprintf("hmacsha256: %v", err))
	}
	copy(out[:], key)
	clear(key)
}
