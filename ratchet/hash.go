package ratchet

import (
	"crypto/sha256"

	"github.com/rookery-im/rookery/internal/secret"
)

// HMAC and HKDF over SHA-256 on fixed buffers. The standard library's versions
// allocate two hash states per call, which would be half the cost of a
// message; these are checked against it in the tests. Buffers that held keys
// are cleared by the functions that own them.

const blockSize = sha256.BlockSize

// padInto writes the key, filled up to one block and xored with pad, to
// block[:64].
func padInto(block []byte, key *[keySize]byte, pad byte) {
	for i, b := range key {
		block[i] = b ^ pad
	}
	for i := keySize; i < blockSize; i++ {
		block[i] = pad
	}
}

const (
	innerPad = 0x36
	outerPad = 0x5c
)

// outerHash finishes an HMAC whose inner hash is given.
func outerHash(key, inner *[keySize]byte) [keySize]byte {
	var block [blockSize + keySize]byte
	padInto(block[:], key, outerPad)
	copy(block[blockSize:], inner[:])
	sum := sha256.Sum256(block[:])
	clear(block[:])
	return sum
}

// hmacShort is HMAC-SHA256 of a message of at most 80 bytes.
func hmacShort(key *[keySize]byte, message []byte) [keySize]byte {
	var block [blockSize + 80]byte
	padInto(block[:], key, innerPad)
	n := copy(block[blockSize:], message)
	inner := sha256.Sum256(block[:blockSize+n])
	clear(block[:])
	sum := outerHash(key, &inner)
	clear(inner[:])
	return sum
}

// expand is HKDF-SHA256 (RFC 5869): extract with a 32-byte salt, expand with a
// 32-byte info to len(out) bytes.
func expand(out []byte, ikm, salt *[keySize]byte, info string) {
	prk := hmacShort(salt, ikm[:])
	var message [keySize + len(messageInfo) + 1]byte // T(i-1) || info || i
	copy(message[keySize:], info)
	start := keySize
	for i := byte(1); len(out) > 0; i++ {
		message[len(message)-1] = i
		block := hmacShort(&prk, message[start:])
		copy(message[:], block[:])
		start = 0
		out = out[copy(out, block[:]):]
		clear(block[:])
	}
	clear(prk[:])
	clear(message[:])
}

// rootStep is KDF_RK: from the root key and a DH result to the next root key
// and a chain key. The third output of the deployed KDF, a header key, is not
// used by anybody and not kept.
func rootStep(root, dh *secret.Key) (next, chain secret.Key) {
	var out [3 * keySize]byte
	ikm, salt := dh.Array(), root.Array()
	expand(out[:], &ikm, &salt, rootInfo)
	copy(next.Bytes(), out[:keySize])
	copy(chain.Bytes(), out[keySize:2*keySize])
	clear(out[:])
	clear(ikm[:])
	clear(salt[:])
	return next, chain
}

// chainStep is KDF_CK: from a chain key to the next one and the message key.
func chainStep(chain *secret.Key) (next, message secret.Key) {
	key := chain.Array()
	message = secret.KeyOf(hmacShort(&key, []byte{messageKeyByte}))
	next = secret.KeyOf(hmacShort(&key, []byte{chainKeyByte}))
	clear(key[:])
	return next, message
}
