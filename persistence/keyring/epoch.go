package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"time"

	"github.com/rookery-im/rookery/internal/secret"
)

// MaxEpochs is how many epochs a keyring holds at once.
const MaxEpochs = 64

// Epoch is a time during which records are sealed under one key. IDs begin at 1
// and only grow.
type Epoch struct {
	ID      uint32
	Created time.Time // UTC
}

// epoch is an Epoch with its key.
type epoch struct {
	Epoch
	key  *secret.Key
	aead cipher.AEAD
}

// newEpoch takes the key over.
func newEpoch(e Epoch, key *secret.Key) (*epoch, error) {
	block, err := aes.NewCipher(key.Bytes())
	if err != nil {
		return nil, fmt.Errorf("key of epoch %d: %w", e.ID, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("key of epoch %d: %w", e.ID, err)
	}
	return &epoch{Epoch: e, key: key, aead: &opaqueAEAD{aead}}, nil
}

// drawEpoch begins an epoch with a fresh key.
func drawEpoch(id uint32, now time.Time, random io.Reader) (*epoch, error) {
	key, err := secret.ReadKey(random)
	if err != nil {
		return nil, fmt.Errorf("key of epoch %d: %w", id, err)
	}
	// As it will be read again.
	created := time.Unix(0, now.UnixNano()).UTC()
	return newEpoch(Epoch{ID: id, Created: created}, &key)
}

// opaqueAEAD keeps fmt from the key schedule: it is used by pointer and holds
// another pointer, which fmt does not follow.
type opaqueAEAD struct{ cipher.AEAD }
