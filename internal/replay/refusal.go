package replay

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// Kinds of errors of the reference.
const (
	kindAEADFailed         = "aead_failed"
	kindSignatureMalformed = "bundle_signature_malformed"
	kindSignatureMismatch  = "bundle_signature_mismatch"
	kindDeviceNotFound     = "device_not_found"
	kindInvalidMAC         = "invalid_mac"
	kindInvalidMACSkipped  = "invalid_mac_skipped"
	kindInvalidPublicKey   = "invalid_public_key"
	kindNoKey              = "no_key_specified"
	kindNoPayload          = "no_payload"
	kindNotPaired          = "not_paired_device"
	kindKeyDeleted         = "old_message_key_deleted"
	kindOther              = "other"
	kindPanic              = "panic"
	kindSessionNotFound    = "session_not_found"
	kindTooShort           = "symmetric_too_short"
	kindTooManySkipped     = "too_many_skipped"
	kindUnmarshal          = "unmarshal"
)

// refusal is one way in which the reference refuses, with its exact words.
type refusal struct{ kind, text string }

var (
	refusedKeyDeleted     = refusal{kindKeyDeleted, "can't skip current chain message keys: bad until: probably an out-of-order message that was deleted"}
	refusedKeyDeletedPrev = refusal{kindKeyDeleted, "can't skip previous chain message keys: bad until: probably an out-of-order message that was deleted"}
	refusedTooMany        = refusal{kindTooManySkipped, "can't skip current chain message keys: too many messages"}
	refusedTooManyPrev    = refusal{kindTooManySkipped, "can't skip previous chain message keys: too many messages"}
	refusedMAC            = refusal{kindInvalidMAC, "can't decrypt: invalid signature"}
	refusedMACSkipped     = refusal{kindInvalidMACSkipped, "can't decrypt skipped message: invalid signature"}
	refusedRatchetKey     = refusal{kindInvalidPublicKey, "can't perform ratchet step: failed to generate dh recieve ratchet secret: invalid public key"}
	refusedPublicKey      = refusal{kindInvalidPublicKey, "invalid public key"}
	refusedSession        = refusal{kindSessionNotFound, "session not found"}
	refusedDevice         = refusal{kindDeviceNotFound, "device not found"}
	refusedNotPaired      = refusal{kindNotPaired, "received a message from not paired device"}
	refusedNoPayload      = refusal{kindNoPayload, "no payload"}
	refusedNoKey          = refusal{kindNoKey, "no key specified"}
	refusedAEAD           = refusal{kindAEADFailed, "cipher: message authentication failed"}
	refusedTooShort       = refusal{kindTooShort, "missing salt or invalid payload in symmetric message"}
	refusedMismatch       = refusal{kindSignatureMismatch, "identity key and signature mismatch"}
	refusedRecovery       = refusal{kindSignatureMalformed, "recovery failed"}
	refusedLength         = refusal{kindSignatureMalformed, "invalid signature length"}
	refusedRecoveryID     = refusal{kindSignatureMalformed, "invalid signature recovery id"}
	refusedNoIdentity     = refusal{kindOther, "NOT NULL constraint failed: bundles.identity"}
	refusedUnmarshal      = refusal{kindUnmarshal, "unmarshal: cannot parse ProtocolMessage"}
)

// panicked is the reference's panic on slicing.
func panicked(format string, n int) refusal {
	return refusal{kindPanic, "runtime error: slice bounds out of range " + fmt.Sprintf(format, n)}
}

// shortCiphertext lists what the reference says of a ciphertext that is too
// short to hold IV and MAC. From 32 bytes on the MAC comes first, and it can be
// good.
func shortCiphertext(size int, badMAC refusal) []refusal {
	if size < 32 {
		return []refusal{panicked("[:-%d]", 32-size)}
	}
	return []refusal{badMAC, panicked("[16:%d]", size-32)}
}

// matches tells whether a recorded answer is this refusal.
func (r refusal) matches(e *expect) bool {
	return !e.OK && e.ErrorKind == r.kind && e.Error == r.text && e.Panic == (r.kind == kindPanic)
}

func anyMatches(refusals []refusal, e *expect) bool {
	return slices.ContainsFunc(refusals, func(r refusal) bool { return r.matches(e) })
}

// equivalents maps our causes to the kinds of errors with which the reference
// refuses the same thing.
var equivalents = []struct {
	err   error
	kinds []string
}{
	{ratchet.ErrMAC, []string{kindInvalidMAC, kindInvalidMACSkipped}},
	// A session also remembers messages of chains that the reference has forgotten.
	{ratchet.ErrMessageKeyGone, []string{kindKeyDeleted, kindInvalidMACSkipped, kindInvalidMAC}},
	{ratchet.ErrTooManySkipped, []string{kindTooManySkipped}},
	// The reference has its next ratchet pair ready and so goes on to the MAC.
	{ratchet.ErrUnknownRatchetKey, []string{kindInvalidMAC, kindKeyDeleted, kindTooManySkipped, kindInvalidPublicKey, kindOther}},
	{ratchet.ErrCiphertext, []string{kindInvalidMAC, kindInvalidMACSkipped, kindKeyDeleted, kindTooManySkipped}},
	{ratchet.ErrHeader, []string{kindInvalidPublicKey, kindOther, kindKeyDeleted, kindTooManySkipped}},
	{errDeviceNotFound, []string{kindDeviceNotFound}},
	{errNotPaired, []string{kindNotPaired}},
	{errNoPayload, []string{kindNoPayload}},
	{errNoHeader, []string{kindNoKey}},
	{errSessionNotFound, []string{kindSessionNotFound}},
	{x3dh.ErrDecrypt, []string{kindAEADFailed, kindTooShort}},
	{x3dh.ErrKey, []string{kindInvalidPublicKey}},
	{x3dh.ErrBundleSignature, []string{kindSignatureMalformed, kindSignatureMismatch}},
	{x3dh.ErrBundleKey, []string{kindInvalidPublicKey}},
	{deviceactor.ErrNotTargeted, []string{kindDeviceNotFound, kindNotPaired}},
	{sessionactor.ErrNoSession, []string{kindSessionNotFound}},
	{sessionactor.ErrUnknownPreKey, []string{kindSessionNotFound}},
	{sessionactor.ErrHeader, []string{kindNoKey, kindSessionNotFound}},
}

// equivalent tells whether the reference's kind says what our error says.
func equivalent(err error, kind string) bool {
	for _, e := range equivalents {
		if errors.Is(err, e.err) {
			return slices.Contains(e.kinds, kind)
		}
	}
	return false
}

// decodeRefusals says, by the field that our decoder refuses, how the reference
// refuses the same input, and whether it may also accept it. Other fields are
// refused by both decoders.
var decodeRefusals = map[string]struct {
	refusals []refusal
	accepted bool
}{
	"DRHeader.ratchet_key":      {refusals: []refusal{refusedPublicKey, refusedRatchetKey, refusedKeyDeletedPrev, refusedTooManyPrev, refusedSession}},
	"DRHeader.signed_pre_key":   {refusals: []refusal{refusedSession}},
	"X3DHHeader.ephemeral":      {refusals: []refusal{refusedPublicKey, refusedSession}},
	"X3DHHeader.signed_pre_key": {refusals: []refusal{refusedSession}},
	"DHHeader.ephemeral":        {refusals: []refusal{refusedPublicKey}},
	"Bundle.identity":           {refusals: []refusal{refusedPublicKey, refusedNoIdentity}},
	"Bundle.signature":          {refusals: []refusal{refusedLength}},
	// Signed and stored by the reference; using it fails later.
	"SignedPreKey.signed_pre_key": {refusals: []refusal{refusedMismatch, refusedRecovery}, accepted: true},
}

// compareDecodeError compares a recorded answer with the decoder's refusal.
// stored says that the step only stores a bundle, which the reference may do
// all the same; of a message it would have to give a plaintext that we do not
// have, so that an accepted one is a difference.
func (s *Step) compareDecodeError(e *expect, err error, stored bool) {
	var de *wire.DecodeError
	if !errors.As(err, &de) {
		s.differs(KindRefusal, "error", "ours: %v", err)
		return
	}
	known, special := decodeRefusals[de.Field]
	if !special {
		known.refusals = []refusal{refusedUnmarshal}
	}
	switch {
	case e.OK && known.accepted && stored:
		s.explained(KindRefusal, "ok", cause{devStrictDecoding, -1, err.Error()})
	case e.OK:
		s.differs(KindRefusal, "ok", "recorded as accepted; ours: %v", err)
	case !anyMatches(known.refusals, e):
		s.differs(KindRefusal, "error", "recorded %s %q; ours: %v", e.ErrorKind, e.Error, err)
	case e.ErrorKind == known.refusals[0].kind:
		s.equal(KindRefusal, "error")
	default:
		s.explained(KindRefusal, "error", cause{devStrictDecoding, -1, err.Error()})
	}
}

// groupOrder is n of secp256k1.
var groupOrder, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)

// lowS gives the canonical form of a signature with s in the upper half: the
// same key is recovered from (r, s, v) and from (r, n-s, v^1). Others are given
// as they are.
func lowS(sig curve.Signature) curve.Signature {
	s := new(big.Int).SetBytes(sig[32:64])
	if negative := new(big.Int).Sub(groupOrder, s); negative.Sign() > 0 && negative.Cmp(s) < 0 {
		negative.FillBytes(sig[32:64])
		sig[64] ^= 1
	}
	return sig
}

// highS explains a signature that only the reference takes.
var highS = &cause{devCanonicalSignature, -1, "the signature has s in the upper half"}

// referenceVerifies tells whether the reference takes the bundle's signature:
// it does not ask for the canonical form.
func referenceVerifies(b *wire.Bundle) bool {
	canonical := *b
	canonical.Signature = lowS(b.Signature)
	return x3dh.VerifySignature(&canonical) == nil
}

// signatureRefusals says how the reference refuses a bundle's signature; none
// if it accepts.
func signatureRefusals(b *wire.Bundle) []refusal {
	switch {
	case curve.PublicKey(b.Identity).Check() != nil:
		return []refusal{refusedPublicKey}
	case referenceVerifies(b):
		return nil
	case b.Signature[64] > 3:
		return []refusal{refusedRecoveryID}
	}
	// Whether a key can be recovered from a wrong signature hangs on its bits.
	return []refusal{refusedMismatch, refusedRecovery}
}
