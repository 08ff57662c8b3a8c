package core

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/ecies"

	"github.com/rookery-im/rookery/proto/wire"
)

var errDeployedBundle = errors.New("reference: bundle is not by the identity it names")

// deployedMaterial is what the signature of a bundle covers.
func deployedMaterial(b *wire.Bundle) []byte {
	prekeys := slices.Clone(b.PreKeys)
	slices.SortFunc(prekeys, func(a, b wire.SignedPreKey) int { return strings.Compare(a.InstallationID, b.InstallationID) })
	var m []byte
	for _, k := range prekeys {
		m = append(m, k.InstallationID...)
		m = append(m, k.Key[:]...)
		m = append(m, strconv.FormatUint(uint64(k.Version), 10)...)
	}
	if b.Timestamp != 0 {
		m = append(m, strconv.FormatInt(b.Timestamp, 10)...)
	}
	return m
}

func deployedSign(own *ecdsa.PrivateKey, b *wire.Bundle) error {
	copy(b.Identity[:], crypto.CompressPubkey(&own.PublicKey))
	signature, err := crypto.Sign(crypto.Keccak256(deployedMaterial(b)), own)
	copy(b.Signature[:], signature)
	return err
}

// deployedCheck recovers the signer and compares it with the identity.
func deployedCheck(b *wire.Bundle) error {
	signer, err := crypto.SigToPub(crypto.Keccak256(deployedMaterial(b)), b.Signature[:])
	if err != nil {
		return err
	}
	if !bytes.Equal(crypto.CompressPubkey(signer), b.Identity[:]) {
		return errDeployedBundle
	}
	return nil
}

func deployedAgree(private *ecdsa.PrivateKey, public *ecdsa.PublicKey) ([]byte, error) {
	return ecies.ImportECDSA(private).GenerateShared(ecies.ImportECDSAPublic(public), 16, 16)
}

// deployedInitiate gives SK = keccak256(DH1 || DH2 || DH3) and the compressed
// ephemeral key.
func deployedInitiate(own *ecdsa.PrivateKey, identity, prekey []byte) (sk, ephemeral []byte, err error) {
	identityKey, err := crypto.DecompressPubkey(identity)
	if err != nil {
		return nil, nil, err
	}
	preKey, err := crypto.DecompressPubkey(prekey)
	if err != nil {
		return nil, nil, err
	}
	ephemeralKey, err := crypto.GenerateKey()
	if err != nil {
		return nil, nil, err
	}
	dh1, err1 := deployedAgree(own, preKey)
	dh2, err2 := deployedAgree(ephemeralKey, identityKey)
	dh3, err3 := deployedAgree(ephemeralKey, preKey)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, nil, err
	}
	return crypto.Keccak256(append(append(dh1, dh2...), dh3...)), crypto.CompressPubkey(&ephemeralKey.PublicKey), nil
}

// deployedRespond takes the private prekey as it comes from a store.
func deployedRespond(own *ecdsa.PrivateKey, prekey, identity, ephemeral []byte) (sk []byte, err error) {
	preKey, err := crypto.ToECDSA(prekey)
	if err != nil {
		return nil, err
	}
	identityKey, err := crypto.DecompressPubkey(identity)
	if err != nil {
		return nil, err
	}
	ephemeralKey, err := crypto.DecompressPubkey(ephemeral)
	if err != nil {
		return nil, err
	}
	dh1, err1 := deployedAgree(preKey, identityKey)
	dh2, err2 := deployedAgree(own, ephemeralKey)
	dh3, err3 := deployedAgree(preKey, ephemeralKey)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return crypto.Keccak256(append(append(dh1, dh2...), dh3...)), nil
}
