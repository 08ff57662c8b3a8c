package replay

import (
	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// start begins a session as the initiator, with the recorded ephemeral key and
// ratchet key; recipient is what the recording names with them. Nothing is
// stored yet.
func (c *composer) start(p peer, prekey wire.PublicKey, recipient string) (*session, error) {
	ephemeralKey := &oneKey{take: func() (hexBytes, error) { return c.feed.key(purposeX3DH, recipient) }}
	sk, ephemeral, err := x3dh.Initiate(&c.identity, p.identity, x3dh.PreKeyPublic(prekey), ephemeralKey)
	if err != nil {
		return nil, err
	}
	defer sk.Wipe()
	ratchetKey := &oneKey{take: func() (hexBytes, error) { return c.feed.key(purposeRatchet, recipient) }}
	remote := ratchet.Secp256k1PublicKey(curve.PublicKey(prekey))
	state, err := ratchet.NewInitiator(ratchet.Secp256k1, sk, remote, ratchetKey)
	if err != nil {
		return nil, err
	}
	s := newSession(c.node, p, prekey, &sk, state)
	own := wire.PublicKey(ephemeral)
	s.ephemeral = &own
	return s, nil
}
