package x3dh

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
)

func TestDHOnlyMessagesArrive(t *testing.T) {
	bob := newIdentity(t, "bob")
	source := seeded("messages")
	seen := map[EphemeralPublic]bool{}
	for n := range 70 {
		plaintext := bytes.Repeat([]byte{byte(n)}, n*n)
		payload, ephemeral, err := SealDHOnly(bob.Public(), plaintext, source)
		if err != nil || len(payload) != len(plaintext)+16+12 {
			t.Fatalf("%d bytes become %d: %v", len(plaintext), len(payload), err)
		}
		if seen[ephemeral] {
			t.Fatal("an ephemeral key is used twice")
		}
		seen[ephemeral] = true
		got, err := OpenDHOnly(&bob, ephemeral, payload)
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("%d bytes: %v", len(plaintext), err)
		}
	}
}

// T21: every byte of payload and ephemeral key, and another recipient. The
// parity of the ephemeral key makes no difference, as deployed.
// Spec: 5.integrity.1 5.payload.2
func TestEveryFlippedByteOfADHOnlyMessageIsRefused(t *testing.T) {
	bob, carol := newIdentity(t, "bob"), newIdentity(t, "carol")
	payload, ephemeral, err := SealDHOnly(bob.Public(), []byte("plaintext"), seeded("message"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range payload {
		for mask := 1; mask < 256; mask <<= 1 {
			b := bytes.Clone(payload)
			b[i] ^= byte(mask)
			if got, err := OpenDHOnly(&bob, ephemeral, b); !errors.Is(err, ErrDecrypt) || got != nil {
				t.Errorf("byte %d of the payload: %v", i, err)
			}
		}
	}
	for i := range ephemeral {
		for mask := 1; mask < 256; mask <<= 1 {
			e := ephemeral
			e[i] ^= byte(mask)
			got, err := OpenDHOnly(&bob, e, payload)
			if i == 0 && mask == 1 {
				if err != nil || string(got) != "plaintext" {
					t.Errorf("the negated ephemeral key: %v", err)
				}
				continue
			}
			if !errors.Is(err, ErrDecrypt) && !errors.Is(err, ErrKey) || got != nil {
				t.Errorf("byte %d of the ephemeral key: %v", i, err)
			}
		}
	}
	if got, err := OpenDHOnly(&carol, ephemeral, payload); !errors.Is(err, ErrDecrypt) || got != nil {
		t.Errorf("another recipient: %v", err)
	}
	_, another, err := SealDHOnly(bob.Public(), nil, seeded("another"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDHOnly(&bob, another, payload); !errors.Is(err, ErrDecrypt) {
		t.Errorf("the ephemeral key of another message: %v", err)
	}
}

// T20: payloads of every length, cut from a good one and of random bytes.
func TestDHOnlyPayloadsOfEveryLengthAreRefused(t *testing.T) {
	bob := newIdentity(t, "bob")
	payload, ephemeral, err := SealDHOnly(bob.Public(), make([]byte, 60), seeded("message"))
	if err != nil {
		t.Fatal(err)
	}
	source := seeded("noise")
	for n := range 61 {
		noise := make([]byte, n)
		_, _ = source.Read(noise)
		for name, b := range map[string][]byte{"noise": noise, "head": payload[:n], "tail": payload[len(payload)-n:]} {
			if got, err := OpenDHOnly(&bob, ephemeral, b); !errors.Is(err, ErrDecrypt) || got != nil {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
			key := secret.KeyOf([32]byte(payload))
			if got, err := OpenSymmetric(&key, b); !errors.Is(err, ErrDecrypt) || got != nil {
				t.Errorf("%s of %d bytes under a key: %v", name, n, err)
			}
		}
	}
}

// T38: DH-only with points that are none.
func TestDHOnlyRefusesInvalidPoints(t *testing.T) {
	bob := newIdentity(t, "bob")
	payload, _, err := SealDHOnly(bob.Public(), nil, seeded("message"))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range invalidPoints() {
		if out, _, err := SealDHOnly(IdentityPublicKey(p), nil, seeded("x")); !errors.Is(err, ErrKey) || out != nil {
			t.Errorf("%s as recipient: %v", name, err)
		}
		if out, err := OpenDHOnly(&bob, EphemeralPublic(p), payload); !errors.Is(err, ErrKey) || out != nil {
			t.Errorf("%s as ephemeral key: %v", name, err)
		}
	}
}
