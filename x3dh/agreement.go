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
	spk, err := pointOf(curve.PublicKey(prekey))
	if err != nil {
		return SharedKey{}, EphemeralPublic{}, err
	}
	ik, err := pointOf(curve.PublicKey(peer))
	if err != nil {
		return SharedKey{}, EphemeralPublic{}, err
	}
	ephemeral, err := curve.GenerateKey(rand)
	if err != nil {
		return SharedKey{}, EphemeralPublic{}, err
	}
	defer ephemeral.Wipe()
	sk, err := agree([3]term{{&own.key, &spk}, {&ephemeral, &ik}, {&ephemeral, &spk}})
	return sk, EphemeralPublic(ephemeral.Public()), err
}

// Respond is the responder's side of X3DH.
func Respond(own *IdentityKey, prekey *PreKey, peer IdentityPublicKey, ephemeral EphemeralPublic) (SharedKey, error) {
	ik, err := pointOf(curve.PublicKey(peer))
	if err != nil {
		return SharedKey{}, err
	}
	ek, err := pointOf(curve.PublicKey(ephemeral))
	if err != nil {
		return SharedKey{}, err
	}
	return agree([3]term{{&prekey.key, &ik}, {&own.key, &ek}, {&prekey.key, &ek}})
}

func pointOf(key curve.PublicKey) (curve.Point, error) {
	point, err := key.Point()
	if err != nil {
		return point, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return point, nil
}

// term is one Diffie-Hellman of an agreement.
type term struct {
	private *curve.PrivateKey
	public  *curve.Point
}

func agree(terms [3]term) (SharedKey, error) {
	var joined [len(terms) * secret.KeySize]byte
	defer clear(joined[:])
	for i, t := range terms {
		shared, err := t.private.DHPoint(t.public)
		if err != nil {
			return SharedKey{}, fmt.Errorf("%w: %w", ErrKey, err)
		}
		copy(joined[i*secret.KeySize:], shared.Bytes())
		shared.Wipe()
	}
	return secret.KeyOf(curve.Keccak256(joined[:])), nil
}
