package courier_test

import (
	"crypto/aes"
	"crypto/cipher"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/transport/topic"
)

// topicKey is the key of a topic.
type topicKey struct{ secret.Key }

func keyOf(name topic.Name) (topicKey, error) {
	key, err := topic.DeriveKey(name)
	return topicKey{key}, err
}

// seal is what anybody can make who knows the name of the topic.
func (k topicKey) seal(n *network, inside []byte) []byte {
	n.Helper()
	block := must[cipher.Block](n)(aes.NewCipher(k.Bytes()))
	aead := must[cipher.AEAD](n)(cipher.NewGCM(block))
	nonce := make([]byte, aead.NonceSize())
	return append(aead.Seal(nil, nonce, inside, nil), nonce...)
}
