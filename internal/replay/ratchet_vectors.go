package replay

import (
	"errors"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
)

func (a *arguments) key(name string) *secret.Key {
	k, err := secret.NewKey(a.bytes(name))
	if err != nil && a.err == nil {
		a.err = malformed("vector", "argument %q: %w", name, err)
	}
	return &k
}

func kdfRootVector(a *arguments) outcome {
	next, chain, header := ratchet.KDFRoot(a.key("rk"), a.key("dh"))
	return outcome{values: map[string][]byte{
		"root_key": next.Bytes(), "chain_key": chain.Bytes(), "header_key": header.Bytes(),
	}}
}

func kdfChainVector(a *arguments) outcome {
	next, message := ratchet.KDFChain(a.key("ck"))
	return outcome{values: map[string][]byte{"chain_key": next.Bytes(), "message_key": message.Bytes()}}
}

func kdfMessageVector(a *arguments) outcome {
	enc, auth, iv := ratchet.KDFMessage(a.key("mk"))
	return outcome{values: map[string][]byte{"enc_key": enc.Bytes(), "auth_key": auth.Bytes(), "iv": iv[:]}}
}

func headerVector(a *arguments) outcome {
	h := ratchet.Header{N: a.number("n"), PN: a.number("pn")}
	if dh := a.bytes("dh"); len(dh) > 0 {
		var err error
		if h.Key, err = ratchet.NewPublicKey(dh); err != nil {
			return refused(err)
		}
	}
	return outcome{values: map[string][]byte{"encoded": h.Encode()}}
}

func encryptVector(a *arguments) outcome {
	ciphertext, err := ratchet.SealWith(a.key("mk"), a.bytes("plaintext"), a.bytes("ad"))
	return outcome{values: map[string][]byte{"ciphertext": ciphertext}, err: err}
}

func decryptVector(a *arguments) outcome {
	ciphertext := a.bytes("ciphertext")
	badMAC := refusal{kindOther, "invalid signature"}
	plaintext, err := ratchet.OpenWith(a.key("mk"), ciphertext, a.bytes("ad"))
	switch {
	case errors.Is(err, ratchet.ErrCiphertext):
		return refused(err, shortCiphertext(len(ciphertext), badMAC)...)
	case err != nil:
		return refused(err, badMAC)
	}
	return outcome{values: map[string][]byte{"plaintext": plaintext}}
}
