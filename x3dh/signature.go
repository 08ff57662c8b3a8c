package x3dh

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
)

// signatureMaterial gives the bytes a bundle's signature covers, as deployed:
// for the installation ids in byte order id || prekey || version in decimal,
// then the timestamp in decimal unless it is 0. There are no separators;
// CheckBundle refuses what could be read in another way. protocol_version is
// not covered.
func signatureMaterial(b *wire.Bundle) []byte {
	prekeys := b.PreKeys
	if !slices.IsSortedFunc(prekeys, byInstallation) {
		prekeys = slices.SortedFunc(slices.Values(prekeys), byInstallation)
	}
	var m []byte
	for i := range prekeys {
		m = append(m, prekeys[i].InstallationID...)
		m = append(m, prekeys[i].Key[:]...)
		m = strconv.AppendUint(m, uint64(prekeys[i].Version), 10)
	}
	if b.Timestamp != 0 {
		m = strconv.AppendInt(m, b.Timestamp, 10)
	}
	return m
}

func byInstallation(a, b wire.SignedPreKey) int {
	return cmp.Compare(a.InstallationID, b.InstallationID)
}

// SignBundle sets the bundle's identity and signature. Prekeys and timestamp
// have to be set before; the prekeys are sorted by installation id.
func SignBundle(own *IdentityKey, b *wire.Bundle) error {
	slices.SortFunc(b.PreKeys, byInstallation)
	b.Identity = wire.PublicKey(own.Public())
	sig, err := own.key.Sign(curve.Keccak256(signatureMaterial(b)))
	if err != nil {
		return err
	}
	b.Signature = sig
	return nil
}

// VerifySignature tells whether the bundle's signature is by the identity it
// names (else ErrBundleSignature). A valid signature alone does not make a
// bundle trustworthy: see CheckBundle.
func VerifySignature(b *wire.Bundle) error {
	signer, err := curve.Recover(curve.Keccak256(signatureMaterial(b)), b.Signature)
	if err != nil || signer != curve.PublicKey(b.Identity) {
		return ErrBundleSignature
	}
	return nil
}
