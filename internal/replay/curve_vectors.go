package replay

import (
	"errors"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/x3dh"
)

func pubkeyVector(a *arguments) outcome {
	k, refusals, err := privateKey(a.bytes("priv"))
	if err != nil {
		return refused(err, refusals...)
	}
	compressed := k.Public()
	full, err := compressed.Uncompressed()
	if err != nil {
		return refused(err)
	}
	hash := curve.Keccak256(full[1:])
	return outcome{values: map[string][]byte{
		"compressed": compressed[:], "uncompressed": full[:], "address": hash[12:],
	}}
}

func decompressVector(a *arguments) outcome {
	p, err := curve.ParsePublicKey(a.bytes("compressed"))
	if err != nil {
		return refused(err, refusedPublicKey)
	}
	full, err := p.Uncompressed()
	return outcome{values: map[string][]byte{"uncompressed": full[:]}, err: err}
}

func keccakVector(a *arguments) outcome {
	hash := curve.Keccak256(a.bytes("data"))
	return outcome{values: map[string][]byte{"hash": hash[:]}}
}

func signVector(a *arguments) outcome {
	k, refusals, err := privateKey(a.bytes("priv"))
	if err != nil {
		return refused(err, refusals...)
	}
	sig, err := k.Sign(curve.Keccak256(a.bytes("data")))
	return outcome{values: map[string][]byte{"signature": sig[:]}, err: err}
}

func recoverVector(a *arguments) outcome {
	var sig curve.Signature
	raw := a.bytes("signature")
	if len(raw) != len(sig) {
		return refused(curve.ErrSignature, refusedLength)
	}
	copy(sig[:], raw)
	digest := curve.Keccak256(a.bytes("data"))
	p, err := curve.Recover(digest, sig)
	var why *cause
	if err != nil {
		var highErr error
		if p, highErr = curve.Recover(digest, lowS(sig)); highErr != nil {
			return refused(err, refusedRecovery, refusedRecoveryID)
		}
		why = highS
	}
	full, fullErr := p.Uncompressed()
	return outcome{values: map[string][]byte{"uncompressed": full[:]}, err: errors.Join(err, fullErr), why: why}
}

func dhVector(a *arguments) outcome {
	return agreeVector(a, "shared", func(b []byte) (curve.PublicKey, error) { return curve.ParsePublicKey(b) })
}

func performDHVector(a *arguments) outcome { return agreeVector(a, "shared", publicKey) }

func agreeVector(a *arguments, result string, parse func([]byte) (curve.PublicKey, error)) outcome {
	k, refusals, err := privateKey(a.bytes("priv"))
	if err != nil {
		return refused(err, refusals...)
	}
	pub, err := parse(a.bytes("pub"))
	if err != nil {
		return refused(err, refusedPublicKey)
	}
	shared, err := k.DH(pub)
	if err != nil {
		return refused(err, refusedPublicKey)
	}
	return outcome{values: map[string][]byte{result: shared.Bytes()}}
}

func sharedSecretVector(a *arguments) outcome {
	scalar := a.bytes("priv")
	if _, refusals, err := privateKey(scalar); err != nil {
		return refused(err, refusals...)
	}
	own, err := x3dh.NewIdentity(scalar)
	if err != nil {
		return refused(err)
	}
	with, err := x3dh.ParseIdentity(a.bytes("pub"))
	if err != nil {
		return refused(err, refusedPublicKey)
	}
	shared, err := own.SharedSecret(with)
	return outcome{values: map[string][]byte{"secret": shared[:]}, err: err}
}
