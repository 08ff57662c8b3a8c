package topic

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/x3dh"
)

func TestNamesAreOnlyOfKeysOnTheCurve(t *testing.T) {
	own := identityKey(t, strings.Repeat("11", 32))
	for what, key := range map[string]x3dh.IdentityPublicKey{
		"zero":           {},
		"x out of range": x3dh.IdentityPublicKey(append([]byte{2}, strings.Repeat("\xff", 32)...)),
		"no such point":  x3dh.IdentityPublicKey(append([]byte{2}, append(make([]byte, 31), 5)...)),
	} {
		for of, err := range map[string]error{
			"contact code": second(ContactCode(key)),
			"personal":     second(Personal(key)),
			"negotiated":   second(Negotiated(own, key)),
		} {
			if !errors.Is(err, ErrIdentity) {
				t.Errorf("%s, %s: %v", what, of, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestNamesOfPublicChatsAreBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"a", true},
		{"ünï", true},
		{"with / and \x00", true},
		{strings.Repeat("a", MaxChatName), true},
		{"", false},
		{strings.Repeat("a", MaxChatName+1), false},
		{strings.Repeat("ü", MaxChatName/2+1), false},
		{"\xff", false},
	} {
		n, err := PublicChat(c.name)
		if c.ok && (err != nil || string(n.text) != c.name) || !c.ok && !errors.Is(err, ErrChat) {
			t.Errorf("%.20q: %v, %v", c.name, n, err)
		}
	}
}

func TestPartitionIsTheRestOfX(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var key x3dh.IdentityPublicKey
		for i := range key {
			key[i] = byte(source.Uint32())
		}
		want := new(big.Int).Mod(new(big.Int).SetBytes(key[1:]), big.NewInt(5000))
		if got := partition(key); got != want.Uint64() {
			t.Fatalf("%x: %d, want %s", key, got, want)
		}
	}
}

func TestOnlySymmetricKindsHaveKeys(t *testing.T) {
	own := identityKey(t, strings.Repeat("11", 32)).Public()
	for _, name := range []Name{{}, Partitioned(own), must(t)(Personal(own))} {
		if key, err := DeriveKey(name); !errors.Is(err, ErrKind) || !key.IsZero() {
			t.Errorf("%s has a key, %v", name, err)
		}
	}
}

// The digest is that of the text alone, as the key is.
func TestDigestsTellNamesApart(t *testing.T) {
	own := identityKey(t, strings.Repeat("11", 32)).Public()
	chats := []string{"a", "b", "a\x00", string(must(t)(Personal(own)).text), string(must(t)(ContactCode(own)).text)}
	seen := map[Digest]string{}
	for _, chat := range chats {
		digest := must(t)(PublicChat(chat)).Digest()
		if other, found := seen[digest]; found {
			t.Errorf("%q and %q have one digest", chat, other)
		}
		seen[digest] = chat
	}
	if must(t)(ContactCode(own)).Digest() != must(t)(PublicChat(chats[4])).Digest() {
		t.Error("two names of one key have two digests")
	}
}

func TestWipedNamesAreGoneFromAllCopies(t *testing.T) {
	n := must(t)(PublicChat("gone"))
	copied, own := n, n.clone()
	n.Wipe()
	if string(copied.text) != "\x00\x00\x00\x00" || n.Kind() != 0 || n.String() != "no topic" {
		t.Errorf("left: %q, %s", copied.text, n)
	}
	if string(own.text) != "gone" {
		t.Errorf("a clone was wiped too: %q", own.text)
	}
}

func TestKindsHaveNames(t *testing.T) {
	for kind, want := range map[Kind]string{
		0: "kind 0", KindContactCode: "contact-code", KindPartitioned: "partitioned", KindPersonal: "personal",
		KindNegotiated: "negotiated", KindPublicChat: "public-chat", 6: "kind 6",
	} {
		if got := kind.String(); got != want {
			t.Errorf("%d is called %s, want %s", kind, got, want)
		}
	}
}
