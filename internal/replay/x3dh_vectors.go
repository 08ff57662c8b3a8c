package replay

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// agreement gives the three Diffie-Hellman results in the order they are
// joined, and SK of our core.
func agreement(dh [3]func() (secret.Key, error), sk func() (x3dh.SharedKey, error)) outcome {
	values := map[string][]byte{}
	for i, f := range dh {
		shared, err := f()
		if err != nil {
			return refused(err, refusedPublicKey)
		}
		values[fmt.Sprintf("dh%d", i+1)] = shared.Bytes()
	}
	key, err := sk()
	if err != nil {
		return refused(err, refusedPublicKey)
	}
	values["sk"] = key.Bytes()
	return outcome{values: values}
}

func initiateVector(a *arguments) outcome {
	own, _, err := privateKey(a.bytes("identity_priv"))
	ephemeral, _, ephemeralErr := privateKey(a.bytes("ephemeral_priv"))
	identity, identityErr := publicKey(a.bytes("their_identity"))
	prekey, prekeyErr := publicKey(a.bytes("their_signed_prekey"))
	if err := errors.Join(err, ephemeralErr, identityErr, prekeyErr); err != nil {
		return refused(err, refusedPublicKey)
	}
	return agreement([3]func() (secret.Key, error){
		func() (secret.Key, error) { return own.DH(prekey) },
		func() (secret.Key, error) { return ephemeral.DH(identity) },
		func() (secret.Key, error) { return ephemeral.DH(prekey) },
	}, func() (x3dh.SharedKey, error) {
		us, err := x3dh.NewIdentity(own.Scalar.Bytes())
		if err != nil {
			return x3dh.SharedKey{}, err
		}
		sk, _, err := x3dh.Initiate(&us, x3dh.IdentityPublicKey(identity), x3dh.PreKeyPublic(prekey), bytes.NewReader(ephemeral.Scalar.Bytes()))
		return sk, err
	})
}

func respondVector(a *arguments) outcome {
	own, _, err := privateKey(a.bytes("identity_priv"))
	prekey, _, prekeyErr := privateKey(a.bytes("signed_prekey_priv"))
	identity, identityErr := publicKey(a.bytes("their_identity"))
	ephemeral, ephemeralErr := publicKey(a.bytes("their_ephemeral"))
	if err := errors.Join(err, prekeyErr, identityErr, ephemeralErr); err != nil {
		return refused(err, refusedPublicKey)
	}
	return agreement([3]func() (secret.Key, error){
		func() (secret.Key, error) { return prekey.DH(identity) },
		func() (secret.Key, error) { return own.DH(ephemeral) },
		func() (secret.Key, error) { return prekey.DH(ephemeral) },
	}, func() (x3dh.SharedKey, error) {
		us, err := x3dh.NewIdentity(own.Scalar.Bytes())
		spk, spkErr := x3dh.NewPreKey(prekey.Scalar.Bytes())
		if err := errors.Join(err, spkErr); err != nil {
			return x3dh.SharedKey{}, err
		}
		return x3dh.Respond(&us, &spk, x3dh.IdentityPublicKey(identity), x3dh.EphemeralPublic(ephemeral))
	})
}

// bundleArgument reads a bundle without the rules of our decoder: the functions
// here are about signatures, and the reference signs and verifies more than we
// would accept.
func bundleArgument(a *arguments) (wire.Bundle, error) {
	raw := a.bytes("bundle")
	b := looseBundle(raw)
	for _, k := range b.PreKeys {
		if k.Key == (wire.PublicKey{}) {
			return b, wire.ErrKeyLength
		}
	}
	return b, nil
}

// materialVector checks the signed bytes of a bundle. They do not leave the
// core, so the recorded ones are signed here with some key and the signature
// compared: it is the same only for the same bytes.
func materialVector(a *arguments) outcome {
	bundle, err := bundleArgument(a)
	if err != nil {
		return refused(err)
	}
	var recorded hexBytes
	out := arguments{v: &vector{I: a.v.I, Args: a.v.Out}}
	out.read("material", &recorded)
	if a.err = out.err; out.err != nil {
		return outcome{}
	}
	scalar := bytes.Repeat([]byte{1}, 32)
	key, err := curve.NewPrivateKey(scalar)
	own, ownErr := x3dh.NewIdentity(scalar)
	if err := errors.Join(err, ownErr, x3dh.SignBundle(&own, &bundle)); err != nil {
		return refused(err)
	}
	hash := curve.Keccak256(recorded)
	sig, err := key.Sign(hash)
	if err != nil || sig != bundle.Signature {
		return refused(errors.New("the recorded bytes are not those our core signs"))
	}
	return outcome{values: map[string][]byte{"material": recorded, "hash": hash[:]}}
}

func signBundleVector(a *arguments) outcome {
	bundle, err := bundleArgument(a)
	own, ownErr := x3dh.NewIdentity(a.bytes("identity_priv"))
	if err := errors.Join(err, ownErr); err != nil {
		return refused(err)
	}
	named := bundle.Identity
	if err := x3dh.SignBundle(&own, &bundle); err != nil {
		return refused(err)
	}
	// The reference also signs a bundle that names somebody else.
	bundle.Identity = named
	return outcome{values: map[string][]byte{"bundle": wire.EncodeBundle(bundle), "signature": bundle.Signature[:]}}
}

func verifyBundleVector(a *arguments) outcome {
	bundle, err := bundleArgument(a)
	switch {
	case err != nil:
		return refused(err)
	case bundle.Signature == [65]byte{}:
		return refused(wire.ErrSignatureLength, refusedLength)
	}
	verifyErr := x3dh.VerifySignature(&bundle)
	refusals := signatureRefusals(&bundle)
	if refusals != nil {
		return refused(verifyErr, refusals...)
	}
	full, err := curve.PublicKey(bundle.Identity).Uncompressed()
	o := outcome{values: map[string][]byte{"identity": full[:]}, err: errors.Join(verifyErr, err)}
	if verifyErr != nil {
		o.why = highS
	}
	return o
}

// shorterKey gives AES-GCM with a key of 16 or 24 bytes. Ours has 32; the
// reference takes every size that AES has, so its result is made here, without
// our core.
func shorterKey(raw []byte) (cipher.AEAD, *cause, error) {
	if len(raw) != 16 && len(raw) != 24 {
		return nil, nil, nil
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, &cause{devAES256, -1, fmt.Sprintf("key of %d bytes", len(raw))}, err
}

func refusedKeySize(err error, size int) outcome {
	return refused(err, refusal{kindOther, fmt.Sprintf("crypto/aes: invalid key size %d", size)})
}

func sealVector(a *arguments) outcome {
	raw, plaintext, nonce := a.bytes("key"), a.bytes("plaintext"), a.bytes("nonce")
	if len(nonce) != nonceSize {
		return refused(fmt.Errorf("nonce of %d bytes", len(nonce)))
	}
	key, err := secret.NewKey(raw)
	if err != nil {
		aead, why, shortErr := shorterKey(raw)
		if aead == nil || shortErr != nil {
			return refusedKeySize(err, len(raw))
		}
		ciphertext := append(aead.Seal(nil, nonce, plaintext, nil), nonce...)
		return outcome{values: map[string][]byte{"ciphertext": ciphertext}, err: err, why: why}
	}
	ciphertext, err := x3dh.SealSymmetric(&key, plaintext, bytes.NewReader(nonce))
	if err != nil {
		return refused(err)
	}
	return outcome{values: map[string][]byte{"ciphertext": ciphertext}}
}

func openVector(a *arguments) outcome {
	raw, payload := a.bytes("key"), a.bytes("ciphertext")
	key, keyErr := secret.NewKey(raw)
	aead, why, shortErr := shorterKey(raw)
	var plaintext []byte
	var err error
	switch split := len(payload) - nonceSize; {
	case keyErr == nil:
		plaintext, err = x3dh.OpenSymmetric(&key, payload)
	case aead == nil || shortErr != nil:
		return refusedKeySize(keyErr, len(raw))
	case split < 0:
		err = keyErr
	default:
		plaintext, err = aead.Open(nil, payload[split:], payload[:split], nil)
	}
	switch {
	case err != nil && len(payload) < nonceSize:
		return refused(err, refusedTooShort)
	case err != nil:
		return refused(err, refusedAEAD)
	}
	return outcome{values: map[string][]byte{"plaintext": plaintext}, err: keyErr, why: why}
}

// discoveryTopics is over how many topics first messages are spread.
const discoveryTopics = 5000

// topicsVector checks the names of topics and their four-byte forms.
func topicsVector(a *arguments) outcome {
	pub := a.bytes("pub")
	shared := a.bytes("secret")
	if len(pub) != curve.UncompressedSize {
		a.err = malformed(fmt.Sprintf("vector %d", a.v.I), "pub of %d bytes", len(pub))
		return outcome{}
	}
	x := new(big.Int).SetBytes(pub[1:33])
	number := x.Mod(x, big.NewInt(discoveryTopics))
	key := hex.EncodeToString(pub)
	texts := map[string]string{
		"contact_code":       "0x" + key + "-contact-code",
		"negotiated":         "0x" + key + "-negotiated",
		"partitioned":        "contact-discovery-" + number.String(),
		"personal_discovery": "contact-discovery-" + key,
	}
	values := map[string][]byte{"negotiated_secret_content_topic": shortHash(hex.EncodeToString(shared))}
	for name, text := range texts {
		values[name+"_topic"] = shortHash(text)
	}
	return outcome{values: values, texts: texts}
}

func shortHash(name string) []byte {
	hash := curve.Keccak256([]byte(name))
	return hash[:4]
}
