package wakurelay

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/transport/carrier"
)

// NodeKey is the private key that a peer is known by. It has nothing to do with
// identities. The zero value stands for a new key. It does not print its secret.
type NodeKey struct {
	kind   keyKind
	secret secret.Key
}

type keyKind uint8

const (
	keyNew keyKind = iota
	keyEd25519
	keySecp256k1
)

// Ed25519Key makes a key of the 32 bytes of an Ed25519 seed; ErrOptions for others.
func Ed25519Key(seed []byte) (NodeKey, error) { return nodeKey(keyEd25519, seed) }

// Secp256k1Key makes a key of the 32 bytes of a secp256k1 scalar, the form that
// deployed nodes take; ErrOptions for others.
func Secp256k1Key(scalar []byte) (NodeKey, error) { return nodeKey(keySecp256k1, scalar) }

func nodeKey(kind keyKind, material []byte) (NodeKey, error) {
	key, err := secret.NewKey(material)
	if err != nil {
		return NodeKey{}, fmt.Errorf("%w: node key: %w", carrier.ErrOptions, err)
	}
	k := NodeKey{kind, key}
	private, err := k.private()
	if err != nil || kind == keyEd25519 {
		return k, err
	}
	// A scalar out of range would be taken for another one.
	raw, err := private.Raw()
	if err != nil {
		return NodeKey{}, fmt.Errorf("%w: node key: %w", carrier.ErrOptions, err)
	}
	taken, err := secret.NewKey(raw)
	if err != nil || key.IsZero() || !taken.Equal(&key) {
		return NodeKey{}, fmt.Errorf("%w: node key is out of range", carrier.ErrOptions)
	}
	return k, nil
}

func (k *NodeKey) private() (crypto.PrivKey, error) {
	var private crypto.PrivKey
	var err error
	switch k.kind {
	case keyEd25519:
		private, err = crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(k.secret.Bytes()))
	case keySecp256k1:
		private, err = crypto.UnmarshalSecp256k1PrivateKey(k.secret.Bytes())
	default:
		private, _, err = crypto.GenerateEd25519Key(rand.Reader)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: node key: %w", carrier.ErrOptions, err)
	}
	return private, nil
}

// Format implements fmt.Formatter: no verb shows the key.
func (k NodeKey) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "node key (redacted)") // nowhere to report to
}
