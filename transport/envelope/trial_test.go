package envelope

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/ecies"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/x3dh"
)

// decryptReference decrypts as deployed clients do.
func decryptReference(tb testing.TB, scalar, wire []byte) []byte {
	tb.Helper()
	key, err := crypto.ToECDSA(scalar)
	if err != nil {
		tb.Fatal(err)
	}
	inner, err := ecies.ImportECDSA(key).Decrypt(wire, nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return inner
}

// sealer makes envelopes for an identity around anything, with always the same
// ephemeral key.
type sealer struct {
	point [pointSize]byte
	keys  eciesKeys
}

func newSealer(tb testing.TB, to x3dh.IdentityPublicKey) *sealer {
	tb.Helper()
	ephemeral, err := curve.GenerateKey(seeded("ephemeral"))
	if err != nil {
		tb.Fatal(err)
	}
	shared, err := ephemeral.DH(curve.PublicKey(to))
	if err != nil {
		tb.Fatal(err)
	}
	point, err := ephemeral.Pub.Uncompressed()
	if err != nil {
		tb.Fatal(err)
	}
	return &sealer{point: point, keys: expand(&shared)}
}

// around encrypts an inside, also one that wrap would not make.
func (s *sealer) around(tb testing.TB, inner []byte) []byte {
	tb.Helper()
	body := make([]byte, ivSize+len(inner))
	if err := s.keys.crypt(body[ivSize:], body[:ivSize], inner); err != nil {
		tb.Fatal(err)
	}
	return s.body(body)
}

// body gives any body a right MAC.
func (s *sealer) body(body []byte) []byte {
	var mac [macSize]byte
	s.keys.sum(&mac, body)
	return slices.Concat(s.point[:], body, mac[:])
}

// TestDeployedClientsReadOurs and the other way round, in every length of the
// last block of the cipher.
func TestDeployedClientsReadOurs(t *testing.T) {
	alice, bob := someone(t, "alice"), someone(t, "bob")
	key, err := crypto.ToECDSA(bob.Scalar())
	if err != nil {
		t.Fatal(err)
	}
	source := seeded("deployed")
	for n := range 40 {
		data := make([]byte, 170+n)
		wire, err := SealFor(source, bob.Public(), alice, data)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := unwrap(decryptReference(t, bob.Scalar(), wire))
		if err != nil || !bytes.Equal(opened.Data, data) || opened.Signer != alice.Public() {
			t.Errorf("%d bytes: they read %d bytes (%v)", len(data), len(opened.Data), err)
		}
		inner := signed(t, append([]byte{5, byte(len(data))}, data...))
		wire, err = ecies.Encrypt(source, ecies.ImportECDSAPublic(&key.PublicKey), inner, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err = OpenWith(bob, wire); err != nil || !bytes.Equal(opened.Data, data) {
			t.Errorf("%d bytes: we read %d bytes (%v)", len(data), len(opened.Data), err)
		}
	}
}

// T20: every length of a body whose MAC is right, which anybody can make. One of
// 1 to 15 bytes ends the process of deployed clients.
func TestShortBodiesAreRefused(t *testing.T) {
	bob := someone(t, "bob")
	sealer := newSealer(t, bob.Public())
	for n := range 40 {
		wire := sealer.body(make([]byte, n))
		got, err := OpenWith(bob, wire)
		if n <= ivSize {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("body of %d bytes: %v", n, err)
			}
		} else if err == nil || errors.Is(err, ErrDecrypt) || got.Signer != (x3dh.IdentityPublicKey{}) {
			t.Errorf("body of %d bytes: %v", n, err) // noise inside
		}
	}
}

// T20, T21
//
// Spec: 5.integrity.1
func TestEveryTruncationAndBitFlipIsRefused(t *testing.T) {
	alice, bob, key := someone(t, "alice"), someone(t, "bob"), keyNamed("k")
	symmetric, err := SealSymmetric(seeded("flips"), key, alice, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	asymmetric, err := SealFor(seeded("flips"), bob.Public(), alice, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(wire []byte, open func([]byte) (Opened, error)) {
		t.Helper()
		refused := func(changed []byte, what string, at int) {
			t.Helper()
			got, err := open(changed)
			if !errors.Is(err, ErrDecrypt) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrPoint) || got.Data != nil {
				t.Errorf("%s at %d: %v", what, at, err)
			}
		}
		for i := range wire {
			refused(wire[:i], "cut", i)
			changed := bytes.Clone(wire)
			changed[i] ^= 1 << (i % 8)
			refused(changed, "flip", i)
		}
		refused(append(bytes.Clone(wire), 0), "longer", len(wire))
		if _, err := open(wire); err != nil {
			t.Error(err)
		}
	}
	check(symmetric, func(b []byte) (Opened, error) { return OpenSymmetric(key, b) })
	check(asymmetric, func(b []byte) (Opened, error) { return OpenWith(bob, b) })
}

// T38
func TestEphemeralKeysAreUncompressedPointsOnTheCurve(t *testing.T) {
	bob := someone(t, "bob")
	wire, err := SealFor(seeded("points"), bob.Public(), someone(t, "alice"), []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	field := unhex(t, "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f")
	tests := []struct {
		name   string
		change func(point []byte)
	}{
		{"compressed, even", func(p []byte) { p[0] = 2 }},
		{"compressed, odd", func(p []byte) { p[0] = 3 }},
		{"both forms at once, even", func(p []byte) { p[0] = 6 }},
		{"both forms at once, odd", func(p []byte) { p[0] = 7 }},
		{"infinity", func(p []byte) { p[0] = 0 }},
		{"zeros", func(p []byte) { clear(p) }},
		{"0, 0", func(p []byte) { clear(p[1:]) }},
		{"another y", func(p []byte) { p[64] ^= 1 }},
		{"x not below the field", func(p []byte) { copy(p[1:], field) }},
		{"y not below the field", func(p []byte) { copy(p[33:], field) }},
	}
	for _, test := range tests {
		changed := bytes.Clone(wire)
		test.change(changed[:pointSize])
		if _, err := Parse(changed); !errors.Is(err, ErrPoint) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	wire, err := SealSymmetric(seeded("none"), keyNamed("k"), someone(t, "alice"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSymmetric(new(secret.Key), wire); !errors.Is(err, ErrKey) {
		t.Errorf("symmetric key of zeros: %v", err)
	}
	wire, err = SealFor(seeded("none"), someone(t, "bob").Public(), someone(t, "alice"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWith(new(x3dh.IdentityKey), wire); !errors.Is(err, ErrKey) {
		t.Errorf("identity key of zeros: %v", err)
	}
	if _, err := new(Sealed).Open(someone(t, "bob")); !errors.Is(err, ErrKey) {
		t.Errorf("an envelope that was not parsed: %v", err)
	}
}

// TestOneEnvelopeIsTriedByManyIdentities at once.
func TestOneEnvelopeIsTriedByManyIdentities(t *testing.T) {
	const identities, meant = 64, 37
	keys := make([]*x3dh.IdentityKey, identities)
	for i := range keys {
		keys[i] = someone(t, string(binary.BigEndian.AppendUint16(nil, uint16(i))))
	}
	wire, err := SealFor(seeded("many"), keys[meant].Public(), someone(t, "alice"), []byte("for one"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := Parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i, key := range keys {
		all.Go(func() {
			got, err := sealed.Open(key)
			if i == meant {
				if err != nil || string(got.Data) != "for one" {
					t.Errorf("the recipient: %q, %v", got.Data, err)
				}
			} else if err != ErrDecrypt { //nolint:errorlint // the sentinel itself
				t.Errorf("identity %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// TestTryingAWrongKeyAllocatesNothing besides what the multiplication does in
// builds without C.
func TestTryingAWrongKeyAllocatesNothing(t *testing.T) {
	wire, err := SealFor(seeded("wrong"), someone(t, "bob").Public(), someone(t, "alice"), make([]byte, 2000))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := Parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	carol := someone(t, "carol")
	key, err := keyOf(carol)
	if err != nil {
		t.Fatal(err)
	}
	multiplication := testing.AllocsPerRun(20, func() { _, _ = key.DHPoint(&sealed.point) })
	if multiplication != 0 && strings.Contains(curve.Backend, "cgo") {
		t.Errorf("a multiplication allocates %v times", multiplication)
	}
	var last error
	if n := testing.AllocsPerRun(20, func() { _, last = sealed.Open(carol) }); n != multiplication || last != ErrDecrypt { //nolint:errorlint // the sentinel itself
		t.Errorf("%v allocations, the multiplication alone %v (%v)", n, multiplication, last)
	}
}
