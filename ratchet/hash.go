package ratchet

import (
	"github.com/rookery-im/rookery/internal/hmacsha256"
	"github.com/rookery-im/rookery/internal/secret"
)

// Labels of the expansions, laid out once.
var (
	rootLabel    = hmacsha256.NewLabel(rootInfo)
	messageLabel = hmacsha256.NewLabel(messageInfo)
	bobPairLabel = hmacsha256.NewLabel(bobPairInfo)
)

// expand is HKDF-SHA256 (RFC 5869): extract with a 32-byte salt, expand to
// len(out) bytes.
func expand(out []byte, ikm, salt *[keySize]byte, label *hmacsha256.Label) {
	var salted, prk hmacsha256.Key
	salted.Init(salt)
	prk.Extract(&salted, ikm)
	prk.Expand(out, label)
	salted.Wipe()
	prk.Wipe()
}

// rootStep is KDF_RK: from the root key and a DH result to the next root key
// and a chain key. The third output of the deployed KDF, a header key, is not
// used by anybody and not computed.
func rootStep(root, dh *secret.Key) (next, chain secret.Key) {
	var out [2 * keySize]byte
	expand(out[:], material(dh), material(root), rootLabel)
	copy(next.Bytes(), out[:keySize])
	copy(chain.Bytes(), out[keySize:])
	clear(out[:])
	return next, chain
}

// chainStep is KDF_CK: from a chain key to the next one, which may take its place,
// and the message key.
func chainStep(next, message, chain *secret.Key) {
	var k hmacsha256.Key
	k.Init(material(chain))
	k.SumPair(material(next), material(message), chainKeyByte, messageKeyByte)
	k.Wipe()
}

// material is the key's own bytes, not a copy.
func material(k *secret.Key) *[keySize]byte { return (*[keySize]byte)(k.Bytes()) }
