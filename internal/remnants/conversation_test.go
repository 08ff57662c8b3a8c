package remnants

import (
	"crypto/sha256"
	"math/rand/v2"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
)

type state = ratchet.State

const (
	turns   = 60
	perTurn = 8
)

// converse lets two sides of a bare ratchet talk, always the same way, and shows each
// state before it sends. Each side keeps its newest state only.
func converse(sends func(before state)) (sides [2]state, err error) {
	random := rand.NewChaCha8(sha256.Sum256([]byte("what is left of used keys")))
	sk, err := secret.ReadKey(random)
	if err != nil {
		return sides, err
	}
	pair, err := curve.GenerateKey(random)
	if err != nil {
		return sides, err
	}
	first := ratchet.Secp256k1KeyPair(pair)
	if sides[0], err = ratchet.NewInitiator(ratchet.Secp256k1, sk, first.Public, random); err != nil {
		return sides, err
	}
	if sides[1], err = ratchet.NewResponder(ratchet.Secp256k1, sk, first); err != nil {
		return sides, err
	}
	for turn := range turns {
		from, to := &sides[turn%2], &sides[1-turn%2]
		for range perTurn {
			sends(*from)
			next, m, err := from.Encrypt([]byte("short"), nil, ratchet.RandomIV, random)
			if err != nil {
				return sides, err
			}
			from.Wipe()
			*from = next
			next, _, _, err = to.Decrypt(nil, m, nil, ratchet.DeployedLimits())
			if err != nil {
				return sides, err
			}
			to.Wipe()
			*to = next
			next.Wipe()
		}
	}
	return sides, nil
}

// usedInConversation are the keys that converse uses up, and those of its end.
func usedInConversation() (used, live map[leakscan.Secret]string, err error) {
	used, live = make(map[leakscan.Secret]string), make(map[leakscan.Secret]string)
	sides, err := converse(func(before state) {
		if before.SendPending {
			return // the chain begins with this message
		}
		_, message := ratchet.KDFChain(&before.Send.Key)
		used[message.Array()] = "message key"
		used[before.Send.Key.Array()] = "chain key"
		used[before.Root.Array()] = "root key"
	})
	for _, side := range sides {
		for _, key := range []secret.Key{side.Root, side.Send.Key, side.Recv.Key} {
			live[key.Array()] = "living"
			delete(used, key.Array())
		}
	}
	return used, live, err
}
