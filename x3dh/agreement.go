package x3dh

import (
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
)

// SharedKey is SK, the result of an agreement. It is handed to the ratchet and
// then wiped; it is never stored.
type SharedKey = secret.Key

// Initiate is the initiator's side of X3DH without one-time prekeys: it draws
// the ephemeral key from rand (32 bytes) and gives its public half, for the
// X3DH header, with
//
//	SK = keccak256(DH(IK_A, SPK_B) || DH(EK_A, IK_B) || DH(EK_A, SPK_B))
//
// as deployed (no HKDF, no prefix). The prekey must come from a bundle that
// CheckBundle accepted.
func Initiate(own *IdentityKey, peer IdentityPublicKey, prekey PreKeyPublic, rand io.Reader) (SharedKey, EphemeralPublic, error) {
	ephemeral, err := curve.GenerateKey(rand)
	if err != nil {
		return SharedKey{}, EphemeralPublic{}, err
	}
	defer ephemeral.Wipe()
	sk, err := agree(
		term{&own.key, curve.PublicKey(prekey)},
		term{&ephemeral, curve.PublicKey(peer)},
		term{&ephemeral, curve.PublicKey(prekey)},
	)
	return sk, EphemeralPublic(ephemeral.Public()), err
}

// Respond is the responder's side of X3DH.
func Respond(own *IdentityKey, prekey *PreKey, peer IdentityPublicKey, ephemeral EphemeralPublic) (SharedKey, error) {
	return agree(
		term{&prekey.key, curve.PublicKey(peer)},
		term{&own.key, curve.PublicKey(ephemeral)},
		term{&prekey.key, curve.PublicKey(ephemeral)},
	)
}

// term is one Diffie-Hellman of an agreement.
type term struct {
	private *curve.PrivateKey
	public  curve.PublicKey
}

func agree(terms ...term) (SharedKey, error) {
	joined := make([]byte, 0, 3*secret.KeySize)
	defer func() { clear(joined[:cap(joined)]) }()
	for _, t := range terms {
		shared, err := t.private.DH(t.public)
		if err != nil {
			return SharedKey{}, fmt.Errorf("%w: %w", ErrKey, err)
		}
		joined = append(joined, shared.Bytes()...)
		shared.Wipe()
	}
	return secret.KeyOf(curve.Keccak256(joined)), nil
}
