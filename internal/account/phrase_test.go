package account

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// The keys were computed by an independent derivation (PBKDF2, BIP-32 and curve
// arithmetic written out) from published BIP-39 test phrases.
// Spec: draft.account-generation.1 5.x3dh.1
func TestChatKeyIsAtTheStatusPath(t *testing.T) {
	for _, c := range []struct{ phrase, key string }{
		{strings.Repeat("abandon ", 11) + "about", "20e61d44eb73cb7d5ff4526bac8c0b96451d8e018b2d6c79022e7ce3b583a754"},
		{"legal winner thank year wave sausage worth useful legal winner thank yellow", "657cb868204a4bb3e3e1d91ae9bfadd6086f419ff582289c2ed527441e522b79"},
		{"  Test test test test test\ttest test test test test\ntest JUNK ", "cd4d1e126328b7d3392c858b51d722f5b1ea1928e3543cf699e0caa0d4a0289e"},
	} {
		key, err := ChatKey(c.phrase)
		if err != nil || hex.EncodeToString(key.Bytes()) != c.key {
			t.Errorf("phrase starting %.10q: got another key or %v", c.phrase, err)
		}
	}
}

func TestBadPhraseIsRefusedWithoutRepeatingIt(t *testing.T) {
	for _, phrase := range []string{
		"", "abandon", strings.Repeat("abandon ", 12), // checksum
		strings.Repeat("abandon ", 11) + "secretword",
		strings.Repeat("abandon ", 10) + "about",
		strings.Repeat("abandon ", 5000) + "about",
	} {
		_, err := ChatKey(phrase)
		if !errors.Is(err, ErrPhrase) {
			t.Errorf("%.20q...: %v", phrase, err)
		} else if strings.Contains(err.Error(), "secretword") {
			t.Errorf("the error repeats a word: %v", err)
		}
	}
}

// Spec: draft.account-generation.1
func TestNewPhraseGivesAKey(t *testing.T) {
	first, err := NewPhrase(bytes.NewReader(bytes.Repeat([]byte{7}, phraseEntropy)))
	if err != nil || len(strings.Fields(first)) != 12 {
		t.Fatalf("%d words, %v", len(strings.Fields(first)), err)
	}
	if _, err := ChatKey(first); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPhrase(bytes.NewReader(make([]byte, phraseEntropy-1))); err == nil {
		t.Fatal("a short random source gave a phrase")
	}
}
