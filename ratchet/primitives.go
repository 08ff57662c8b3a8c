package ratchet

import "github.com/rookery-im/rookery/internal/secret"

// The functions below are the steps that Encrypt and Decrypt are made of, one
// by one, so that recorded vectors can be checked against the very code that
// runs. Sessions have no use for them.

// KDFRoot is KDF_RK: from the root key and a DH result to the next root key, a
// chain key and the header key that no deployed client uses.
func KDFRoot(root, dh *secret.Key) (next, chain, header secret.Key) {
	var out [3 * keySize]byte
	expand(out[:], material(dh), material(root), rootLabel)
	copy(header.Bytes(), out[2*keySize:])
	clear(out[:])
	next, chain = rootStep(root, dh)
	return next, chain, header
}

// KDFChain is KDF_CK: from a chain key to the next one and the message key.
func KDFChain(chain *secret.Key) (next, message secret.Key) {
	chainStep(&next, &message, chain)
	return next, message
}

// KDFMessage expands a message key.
func KDFMessage(mk *secret.Key) (enc, auth secret.Key, iv [ivSize]byte) {
	var k messageKeys
	k.derive(mk, true)
	defer k.wipe()
	return secret.KeyOf([keySize]byte(k.enc())), secret.KeyOf(*k.auth()), [ivSize]byte(k.iv())
}

// SealWith encrypts under a message key with its derived IV; ad is all that the
// MAC covers before the IV. Using a key twice breaks it.
func SealWith(mk *secret.Key, plaintext, ad []byte) ([]byte, error) {
	return sealParts(mk, plaintext, ad, nil, UnsafeDerivedIV, nil)
}

// OpenWith decrypts what SealWith made: ErrMAC or ErrCiphertext otherwise.
func OpenWith(mk *secret.Key, ciphertext, ad []byte) ([]byte, error) {
	return openParts(mk, ciphertext, ad, nil)
}
