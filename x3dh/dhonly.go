package x3dh

import (
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/curve"
)

// SealDHOnly encrypts for an identity of which no bundle is known: AES-256-GCM
// under the raw x coordinate of DH(ephemeral, IK_B). It draws the ephemeral
// key (32 bytes) and the nonce (12 bytes) from rand. The payload is
// ciphertext || nonce.
//
// Such a message has no forward secrecy, does not authenticate its sender and
// can be replayed; whoever sends one has to say so.
func SealDHOnly(peer IdentityPublicKey, plaintext []byte, rand io.Reader) (payload []byte, ephemeral EphemeralPublic, err error) {
	key, err := curve.GenerateKey(rand)
	if err != nil {
		return nil, ephemeral, err
	}
	defer key.Wipe()
	shared, err := key.DH(curve.PublicKey(peer))
	if err != nil {
		return nil, ephemeral, fmt.Errorf("%w: %w", ErrKey, err)
	}
	defer shared.Wipe()
	payload, err = SealSymmetric(&shared, plaintext, rand)
	return payload, EphemeralPublic(key.Public()), err
}

// OpenDHOnly decrypts what SealDHOnly made. ErrKey or ErrDecrypt otherwise.
func OpenDHOnly(own *IdentityKey, ephemeral EphemeralPublic, payload []byte) ([]byte, error) {
	shared, err := own.key.DH(curve.PublicKey(ephemeral))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	defer shared.Wipe()
	return OpenSymmetric(&shared, payload)
}
