package topic

import (
	"fmt"

	"github.com/rookery-im/rookery/internal/hmacsha256"
	"github.com/rookery-im/rookery/internal/secret"
)

// rounds is the number that deployed clients have; it is not 65536.
const rounds = 65356

// DeriveKey gives the symmetric key of a topic:
// PBKDF2-HMAC-SHA256(name, no salt, 65356 rounds). It takes 6 to 20 ms of a
// processor, so use Keys. ErrKind if topics of this kind have no key.
func DeriveKey(n Name) (secret.Key, error) {
	if !n.kind.Symmetric() {
		return secret.Key{}, fmt.Errorf("%w: %s has no symmetric key", ErrKind, n)
	}
	var key secret.Key
	hmacsha256.PBKDF2((*[hmacsha256.Size]byte)(key.Bytes()), n.text, nil, rounds)
	return key, nil
}
