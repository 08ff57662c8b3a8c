package sim

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/google/uuid"

	"github.com/rookery-im/rookery/x3dh"
)

// keyStream is where somebody's keys come from: the same seed and name always
// give the same bytes, whatever others draw.
func keyStream(seed uint64, name string) io.Reader {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, name)))
}

// decisions are what a schedule is made of.
func decisions(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x726f6f6b657279)) }

// The generators below cannot fail: a keyStream never ends.

func newIdentity(from io.Reader) x3dh.IdentityKey {
	key, err := x3dh.GenerateIdentity(from)
	if err != nil {
		panic(err)
	}
	return key
}

func newInstallationID(from io.Reader) string {
	id, err := uuid.NewRandomFromReader(from)
	if err != nil {
		panic(err)
	}
	return id.String()
}
