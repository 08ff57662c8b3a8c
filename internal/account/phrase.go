package account

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/tyler-smith/go-bip39"

	"github.com/rookery-im/rookery/internal/secret"
)

// ErrPhrase reports a phrase that is not 12, 15, 18, 21 or 24 words of the
// English list with a valid checksum. It never repeats the phrase.
var ErrPhrase = errors.New("account: not a valid BIP-39 phrase")

// phraseEntropy is what a new phrase holds, in bytes: 12 words, as Status
// accounts have.
const phraseEntropy = 16

// chatKeyPath is m/43'/60'/1581'/0'/0 (EIP-1581): the last step is not
// hardened.
var chatKeyPath = [...]uint32{
	hdkeychain.HardenedKeyStart + 43,
	hdkeychain.HardenedKeyStart + 60,
	hdkeychain.HardenedKeyStart + 1581,
	hdkeychain.HardenedKeyStart,
	0,
}

// NewPhrase draws a phrase of 12 words (16 bytes from rand).
func NewPhrase(rand io.Reader) (string, error) {
	var entropy [phraseEntropy]byte
	defer clear(entropy[:])
	if _, err := io.ReadFull(rand, entropy[:]); err != nil {
		return "", fmt.Errorf("account: read randomness: %w", err)
	}
	phrase, err := bip39.NewMnemonic(entropy[:])
	if err != nil {
		return "", fmt.Errorf("account: make phrase: %w", err)
	}
	return phrase, nil
}

// ChatKey gives the identity key's scalar of a phrase. Words may be separated
// by any white space and written in any case; the BIP-39 passphrase is empty, as
// in Status accounts.
func ChatKey(phrase string) (secret.Key, error) {
	normal := strings.ToLower(strings.Join(strings.Fields(phrase), " "))
	seed, err := bip39.NewSeedWithErrorChecking(normal, "")
	if err != nil {
		return secret.Key{}, ErrPhrase // the library's error may name a word
	}
	defer clear(seed)
	key, err := hdkeychain.NewMaster(seed, &chaincfg.MainNetParams)
	for _, step := range chatKeyPath {
		if err != nil {
			break
		}
		parent := key
		key, err = parent.Derive(step)
		parent.Zero()
	}
	if err != nil {
		return secret.Key{}, fmt.Errorf("account: derive chat key: %w", err)
	}
	defer key.Zero()
	private, err := key.ECPrivKey()
	if err != nil {
		return secret.Key{}, fmt.Errorf("account: derive chat key: %w", err)
	}
	defer private.Zero()
	raw := private.Serialize()
	defer clear(raw)
	return secret.NewKey(raw)
}
