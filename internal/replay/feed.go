package replay

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/internal/curve"
)

// Purposes of generated keys.
const (
	purposePreKey      = "signed_prekey"
	purposeX3DH        = "x3dh_ephemeral"
	purposeRatchet     = "dr_ratchet"
	purposeDHEphemeral = "dh_ephemeral"
)

// Sizes of what the reference draws, in bytes.
const (
	privateKeySize = 32
	nonceSize      = 12
)

// errNotRecorded reports that we ask for a key or nonce the reference did not
// make in this step.
var errNotRecorded = errors.New("replay: the recording holds no such key for this step")

// feed gives the private keys and nonces that the reference drew in one step.
type feed struct {
	keys   []generatedKey
	used   []bool
	nonces []hexBytes
}

// checkDrawn refuses keys and nonces that no generator can have given.
func checkDrawn(where string, keys []generatedKey, nonces []hexBytes) error {
	for i := range keys {
		if n := len(keys[i].Priv); n != privateKeySize {
			return malformed(where, "generated_keys[%d].priv of %d bytes, want %d", i, n, privateKeySize)
		}
	}
	for i := range nonces {
		if n := len(nonces[i]); n != nonceSize {
			return malformed(where, "nonces[%d] of %d bytes, want %d", i, n, nonceSize)
		}
	}
	return nil
}

func newFeed(e *expect) *feed {
	return &feed{keys: e.GeneratedKeys, used: make([]bool, len(e.GeneratedKeys)), nonces: e.Nonces}
}

// key gives the next unused key of a purpose, for a recipient where one is
// named.
func (f *feed) key(purpose, recipient string) (hexBytes, error) {
	for i, k := range f.keys {
		if !f.used[i] && k.Purpose == purpose && k.For == recipient {
			f.used[i] = true
			return k.Priv, nil
		}
	}
	return nil, fmt.Errorf("%w: %s for %q", errNotRecorded, purpose, recipient)
}

func (f *feed) nonce() (hexBytes, error) {
	if len(f.nonces) == 0 {
		return nil, fmt.Errorf("%w: nonce", errNotRecorded)
	}
	n := f.nonces[0]
	f.nonces = f.nonces[1:]
	return n, nil
}

// left names what we did not ask for.
func (f *feed) left() []string {
	var names []string
	for i, k := range f.keys {
		if !f.used[i] {
			names = append(names, k.Purpose)
		}
	}
	for range f.nonces {
		names = append(names, "nonce")
	}
	return names
}

// checkPublics compares the recorded public keys with those of the private ones.
func (f *feed) checkPublics(s *Step) {
	for i, k := range f.keys {
		what := fmt.Sprintf("generated_keys[%d].pub", i)
		private, err := curve.NewPrivateKey(k.Priv)
		if err != nil {
			s.differs(KindValue, what, "private key: %v", err)
			continue
		}
		public := private.Public()
		s.value(what, string(public[:]) == string(k.Pub), "ours is %s", public)
	}
}
