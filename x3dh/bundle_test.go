package x3dh

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
)

// noon is the time of these tests, in nanoseconds since the epoch.
const noon = 1_795_226_644_013_031_427

const (
	uuidA = "0a8f5d6e-1c2b-4d3e-8f90-a1b2c3d4e5f6"
	uuidB = "2b9d4c1e-5f60-4718-92a3-b4c5d6e7f809"
	uuidC = "F0000000-0000-0000-0000-000000000001"
)

// seeded gives the same bytes in every run.
func seeded(seed string) *rand.ChaCha8 {
	var s [32]byte
	copy(s[:], seed)
	return rand.NewChaCha8(s)
}

func newIdentity(tb testing.TB, seed string) IdentityKey {
	tb.Helper()
	k, err := GenerateIdentity(seeded(seed))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func newPreKey(tb testing.TB, seed string) PreKey {
	tb.Helper()
	k, err := GeneratePreKey(seeded(seed))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// entryOf gives an installation's entry with a key of its own.
func entryOf(tb testing.TB, id string, version uint32) wire.SignedPreKey {
	tb.Helper()
	k := newPreKey(tb, "prekey of "+id)
	return wire.SignedPreKey{InstallationID: id, Key: wire.PublicKey(k.Public()), Version: version, ProtocolVersion: 1}
}

// signed gives a validly signed bundle of the identity drawn from "owner".
func signed(tb testing.TB, timestamp int64, entries ...wire.SignedPreKey) wire.Bundle {
	tb.Helper()
	owner := newIdentity(tb, "owner")
	b := wire.Bundle{PreKeys: slices.Clone(entries), Timestamp: timestamp}
	if err := SignBundle(&owner, &b); err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestGoodBundlesAreBelieved(t *testing.T) {
	for name, b := range map[string]wire.Bundle{
		"one installation":         signed(t, noon, entryOf(t, uuidA, 1)),
		"three installations":      signed(t, noon, entryOf(t, uuidB, 7), entryOf(t, uuidC, 0), entryOf(t, uuidA, math.MaxUint32)),
		"a lone short id":          signed(t, noon, entryOf(t, "1", 1)),
		"a lone id of 100 letters": signed(t, noon, entryOf(t, strings.Repeat("x", 100), 1)),
		"every printable letter":   signed(t, noon, entryOf(t, printable(), 1)),
		"signed just now":          signed(t, noon, entryOf(t, uuidA, 0)),
		"a day ahead":              signed(t, noon+86_400_000_000_000, entryOf(t, uuidA, 1)),
		"of 2018":                  signed(t, 1_514_764_800_000_000_000, entryOf(t, uuidA, 1)),
	} {
		if err := CheckBundle(&b, noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := VerifySignature(&b); err != nil {
			t.Errorf("%s: signature: %v", name, err)
		}
	}
}

func printable() string {
	var b strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}

// T29, T30, T32, T38: each reason to refuse a validly signed bundle.
func TestBundlesAreRefusedForTheirContent(t *testing.T) {
	a, b, c := entryOf(t, uuidA, 1), entryOf(t, uuidB, 2), entryOf(t, uuidC, 3)
	with := func(e wire.SignedPreKey, change func(*wire.SignedPreKey)) wire.SignedPreKey { change(&e); return e }
	renamed := func(id string) wire.SignedPreKey {
		return with(a, func(e *wire.SignedPreKey) { e.InstallationID = id })
	}
	offCurve := func(k wire.PublicKey) wire.PublicKey {
		for curve.PublicKey(k).Check() == nil {
			k[32]++
		}
		return k
	}
	altered := func(e wire.SignedPreKey, change func(*wire.Bundle)) wire.Bundle {
		b := signed(t, noon, e)
		change(&b)
		return b
	}
	for _, tc := range []struct {
		name   string
		bundle wire.Bundle
		want   error
	}{
		{"no prekey", signed(t, noon), ErrBundleEmpty},
		{"no timestamp", signed(t, 0, a), ErrBundleTimestamp},
		{"timestamp 1", signed(t, 1, a), ErrBundleTimestamp},
		{"a negative timestamp", signed(t, -noon, a), ErrBundleTimestamp},
		{"the smallest timestamp", signed(t, math.MinInt64, a), ErrBundleTimestamp},
		{"just before 2018", signed(t, 1_514_764_799_999_999_999, a), ErrBundleTimestamp},
		{"a timestamp of 18 digits", signed(t, 999_999_999_999_999_999, a), ErrBundleTimestamp},
		{"just over a day ahead", signed(t, noon+86_400_000_000_001, a), ErrBundleTimestamp},
		{"the largest timestamp", signed(t, math.MaxInt64, a), ErrBundleTimestamp},
		{"in milliseconds", signed(t, noon/1_000_000, a), ErrBundleTimestamp},

		{"no id", signed(t, noon, renamed("")), ErrBundleAmbiguous},
		{"the id of everybody", signed(t, noon, renamed("none")), ErrBundleAmbiguous},
		{"an id of 101 letters", signed(t, noon, renamed(strings.Repeat("x", 101))), ErrBundleAmbiguous},
		{"a space in an id", signed(t, noon, renamed("a b")), ErrBundleAmbiguous},
		{"a prekey's first byte in an id", signed(t, noon, renamed("a\x02b")), ErrBundleAmbiguous},
		{"the other first byte in an id", signed(t, noon, renamed("\x03")), ErrBundleAmbiguous},
		{"a control byte in an id", signed(t, noon, renamed("a\n")), ErrBundleAmbiguous},
		{"byte 7f in an id", signed(t, noon, renamed("a\x7f")), ErrBundleAmbiguous},
		{"a letter that is not ASCII", signed(t, noon, renamed("é")), ErrBundleAmbiguous},
		{"two ids of which one is short", signed(t, noon, renamed("1"), b), ErrBundleAmbiguous},
		{"two ids of which one is long", signed(t, noon, a, renamed(uuidC+"0")), ErrBundleAmbiguous},
		{"a UUID without its dashes", signed(t, noon, renamed(strings.ReplaceAll(uuidA, "-", "0")), b), ErrBundleAmbiguous},
		{"a UUID with a letter over f", signed(t, noon, renamed("g"+uuidA[1:]), b), ErrBundleAmbiguous},
		{"a UUID with a letter over F", signed(t, noon, renamed("G"+uuidA[1:]), b), ErrBundleAmbiguous},
		{"a dash in the wrong place", signed(t, noon, renamed("-"+uuidA[1:]), b), ErrBundleAmbiguous},
		{"a UUID with a byte under 0", signed(t, noon, renamed("/"+uuidA[1:]), b), ErrBundleAmbiguous},
		{"a UUID with a byte over 9", signed(t, noon, renamed(":"+uuidA[1:]), b), ErrBundleAmbiguous},
		{"a UUID with a backquote", signed(t, noon, renamed("`"+uuidA[1:]), b), ErrBundleAmbiguous},
		{"one installation twice", signed(t, noon, a, a), ErrBundleAmbiguous},
		{"installations out of order", reversed(signed(t, noon, a, b, c)), ErrBundleAmbiguous},

		{"a prekey off the curve", signed(t, noon, with(a, func(e *wire.SignedPreKey) { e.Key = offCurve(e.Key) })), ErrBundleKey},
		{"a zero prekey", signed(t, noon, with(a, func(e *wire.SignedPreKey) { e.Key = wire.PublicKey{} })), ErrBundleKey},
		{"prekey x = 0", signed(t, noon, with(a, func(e *wire.SignedPreKey) { e.Key = wire.PublicKey{2} })), ErrBundleKey},
		{"a prekey with prefix 04", signed(t, noon, with(a, func(e *wire.SignedPreKey) { e.Key[0] = 4 })), ErrBundleKey},
		{"the last of three prekeys off the curve", signed(t, noon, a, b, with(c, func(e *wire.SignedPreKey) { e.Key = offCurve(e.Key) })), ErrBundleKey},
		{"an identity off the curve", identified(signed(t, noon, a), offCurve), ErrBundleSignature},

		// What is wrong with it is not what its owner has signed: the message
		// that it came with was altered, and is refused too.
		{"a prekey altered to one off the curve", altered(a, func(b *wire.Bundle) { b.PreKeys[0].Key = offCurve(b.PreKeys[0].Key) }), ErrBundleSignature},
		{"an altered id", altered(a, func(b *wire.Bundle) { b.PreKeys[0].InstallationID = "a b" }), ErrBundleSignature},
		{"a timestamp altered to one ahead", altered(a, func(b *wire.Bundle) { b.Timestamp += 1 << 60 }), ErrBundleSignature},
		{"prekeys removed", altered(a, func(b *wire.Bundle) { b.PreKeys = nil }), ErrBundleSignature},
	} {
		before := clone(tc.bundle)
		err := CheckBundle(&tc.bundle, noon)
		if !errors.Is(err, tc.want) || !errors.Is(err, ErrUntrustedBundle) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if !bytes.Equal(wire.EncodeBundle(ascii(before)), wire.EncodeBundle(ascii(tc.bundle))) {
			t.Errorf("%s: the bundle was changed", tc.name)
		}
	}
}

// ascii replaces ids that cannot be encoded.
func ascii(b wire.Bundle) wire.Bundle {
	b = clone(b)
	for i := range b.PreKeys {
		b.PreKeys[i].InstallationID = fmt.Sprintf("%q", b.PreKeys[i].InstallationID)
	}
	return b
}

func clone(b wire.Bundle) wire.Bundle {
	b.PreKeys = slices.Clone(b.PreKeys)
	return b
}

func reversed(b wire.Bundle) wire.Bundle {
	slices.Reverse(b.PreKeys)
	return b
}

func identified(b wire.Bundle, change func(wire.PublicKey) wire.PublicKey) wire.Bundle {
	b.Identity = change(b.Identity)
	return b
}

// The window of timestamps moves with the clock and has no overflow at its end.
func TestTimestampWindow(t *testing.T) {
	const day = 86_400_000_000_000
	a := entryOf(t, uuidA, 1)
	for _, c := range []struct {
		now, timestamp int64
		ok             bool
	}{
		{EarliestTimestamp, EarliestTimestamp, true},
		{EarliestTimestamp, EarliestTimestamp + day, true},
		{EarliestTimestamp, EarliestTimestamp + day + 1, false},
		{EarliestTimestamp - day, EarliestTimestamp, true},
		{EarliestTimestamp - day - 1, EarliestTimestamp, false},
		{0, EarliestTimestamp, false},
		{-1, EarliestTimestamp, false},
		{math.MinInt64, EarliestTimestamp, false},
		{math.MaxInt64, math.MaxInt64, true},
		{math.MaxInt64, EarliestTimestamp, true},
		{math.MaxInt64 - day, math.MaxInt64, true},
		{math.MaxInt64 - day - 1, math.MaxInt64, false},
		{math.MaxInt64 - day - 1, math.MaxInt64 - 1, true},
		{noon, noon - 5*365*day, true}, // how old is too old is not decided here
	} {
		b := signed(t, c.timestamp, a)
		err := CheckBundle(&b, c.now)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrBundleTimestamp) {
			t.Errorf("signed at %d, checked at %d: %v", c.timestamp, c.now, err)
		}
	}
	if n := len(fmt.Sprint(EarliestTimestamp)); n != 19 || len(fmt.Sprint(int64(latestTimestamp))) != 19 {
		t.Errorf("timestamps of %d digits", n)
	}
}

// T29: what is not signed by the identity it names is refused.
// Spec: 5.prekeys.3 5.bundle.3
func TestForgedBundlesAreRefused(t *testing.T) {
	good := signed(t, noon, entryOf(t, uuidA, 1), entryOf(t, uuidB, 2))
	mallory := newIdentity(t, "mallory")
	theirs := clone(good)
	if err := SignBundle(&mallory, &theirs); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(b *wire.Bundle){
		"unsigned":                    func(b *wire.Bundle) { b.Signature = [65]byte{} },
		"signed by somebody else":     func(b *wire.Bundle) { b.Signature = theirs.Signature },
		"under another identity":      func(b *wire.Bundle) { b.Identity = theirs.Identity },
		"the identity's negative":     func(b *wire.Bundle) { b.Identity[0] ^= 1 },
		"another prekey":              func(b *wire.Bundle) { b.PreKeys[1].Key = entryOf(t, uuidC, 1).Key },
		"the prekey's negative":       func(b *wire.Bundle) { b.PreKeys[0].Key[0] ^= 1 },
		"prekeys exchanged":           func(b *wire.Bundle) { b.PreKeys[0].Key, b.PreKeys[1].Key = b.PreKeys[1].Key, b.PreKeys[0].Key },
		"another installation id":     func(b *wire.Bundle) { b.PreKeys[1].InstallationID = uuidC },
		"a higher version":            func(b *wire.Bundle) { b.PreKeys[0].Version++ },
		"another timestamp":           func(b *wire.Bundle) { b.Timestamp++ },
		"one installation fewer":      func(b *wire.Bundle) { b.PreKeys = b.PreKeys[:1] },
		"the first one left out":      func(b *wire.Bundle) { b.PreKeys = b.PreKeys[1:] },
		"one installation more":       func(b *wire.Bundle) { b.PreKeys = append(b.PreKeys, entryOf(t, uuidC, 1)) },
		"versions exchanged":          func(b *wire.Bundle) { b.PreKeys[0].Version, b.PreKeys[1].Version = 2, 1 },
		"the digest signed unhashed":  func(b *wire.Bundle) { copy(b.Signature[:], signatureMaterial(b)) },
		"an older signature replayed": func(b *wire.Bundle) { b.Signature = signed(t, noon-1, b.PreKeys...).Signature },
	} {
		b := clone(good)
		change(&b)
		if err := CheckBundle(&b, noon); !errors.Is(err, ErrBundleSignature) || !errors.Is(err, ErrUntrustedBundle) {
			t.Errorf("%s: %v", name, err)
		}
		if err := VerifySignature(&b); !errors.Is(err, ErrBundleSignature) {
			t.Errorf("%s: signature: %v", name, err)
		}
	}
	if err := CheckBundle(&theirs, noon); err != nil {
		t.Errorf("mallory's own bundle with the same content: %v", err)
	}
	// protocol_version is not signed, as deployed.
	good.PreKeys[0].ProtocolVersion = 77
	if err := CheckBundle(&good, noon); err != nil {
		t.Errorf("another protocol version: %v", err)
	}
}

// T31: a bundle's signature has one valid encoding.
func TestMalleatedBundleSignaturesAreRefused(t *testing.T) {
	n, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	for version := range uint32(8) {
		good := signed(t, noon, entryOf(t, uuidA, version))
		s := new(big.Int).SetBytes(good.Signature[32:64])
		for name, change := range map[string]func(sig *[65]byte){
			"high s, other v": func(sig *[65]byte) { new(big.Int).Sub(n, s).FillBytes(sig[32:64]); sig[64] ^= 1 },
			"high s, same v":  func(sig *[65]byte) { new(big.Int).Sub(n, s).FillBytes(sig[32:64]) },
			"the other v":     func(sig *[65]byte) { sig[64] ^= 1 },
			"v + 2":           func(sig *[65]byte) { sig[64] += 2 },
			"v + 27":          func(sig *[65]byte) { sig[64] += 27 },
			"v = 255":         func(sig *[65]byte) { sig[64] = 255 },
			"r = 0":           func(sig *[65]byte) { clear(sig[:32]) },
			"s = 0":           func(sig *[65]byte) { clear(sig[32:64]) },
			"r = n":           func(sig *[65]byte) { n.FillBytes(sig[:32]) },
			"s = n":           func(sig *[65]byte) { n.FillBytes(sig[32:64]) },
			"r and s swapped": func(sig *[65]byte) {
				r := [32]byte(sig[:32])
				copy(sig[:32], sig[32:64])
				copy(sig[32:64], r[:])
			},
		} {
			b := clone(good)
			change(&b.Signature)
			if err := CheckBundle(&b, noon); !errors.Is(err, ErrBundleSignature) {
				t.Errorf("version %d, %s: %v", version, name, err)
			}
		}
	}
}

// The signed bytes do not depend on the order of the entries in memory, and
// verifying does not reorder them.
// Spec: 5.bundle-signature.1
func TestSigningSortsAndVerifyingDoesNot(t *testing.T) {
	entries := []wire.SignedPreKey{entryOf(t, uuidC, 3), entryOf(t, uuidA, 1), entryOf(t, uuidB, 2)}
	b := signed(t, noon, entries...)
	if ids := [3]string{b.PreKeys[0].InstallationID, b.PreKeys[1].InstallationID, b.PreKeys[2].InstallationID}; ids != [3]string{uuidA, uuidB, uuidC} {
		t.Errorf("signed in the order %v", ids)
	}
	b.PreKeys = slices.Clone(entries)
	if err := VerifySignature(&b); err != nil {
		t.Errorf("in another order: %v", err)
	}
	if !slices.Equal(b.PreKeys, entries) {
		t.Error("verifying sorted the entries")
	}
}

func TestSigningWithAWipedKeyFails(t *testing.T) {
	owner := newIdentity(t, "owner")
	owner.Wipe()
	b := wire.Bundle{PreKeys: []wire.SignedPreKey{entryOf(t, uuidA, 1)}, Timestamp: noon}
	if err := SignBundle(&owner, &b); !errors.Is(err, curve.ErrPrivateKey) {
		t.Error(err)
	}
	if b.Signature != ([65]byte{}) {
		t.Error("a signature was made")
	}
}

func TestEveryRefusalOfABundleIsUntrusted(t *testing.T) {
	all := []error{ErrBundleSignature, ErrBundleKey, ErrBundleEmpty, ErrBundleAmbiguous, ErrBundleTimestamp, ErrBundleIdentity}
	for i, err := range all {
		wrapped := fmt.Errorf("message: %w", fmt.Errorf("%w: entry 1", err))
		if !errors.Is(err, ErrUntrustedBundle) || !errors.Is(wrapped, ErrUntrustedBundle) || !errors.Is(wrapped, err) {
			t.Errorf("%v is not an untrusted bundle", err)
		}
		for j, other := range all {
			if i != j && errors.Is(err, other) {
				t.Errorf("%v is also %v", err, other)
			}
		}
		if !strings.HasPrefix(err.Error(), ErrUntrustedBundle.Error()+": ") {
			t.Errorf("%q does not say that a bundle was refused", err)
		}
		for _, other := range []error{ErrKey, ErrDecrypt} {
			if errors.Is(err, other) || errors.Is(other, ErrUntrustedBundle) {
				t.Errorf("%v and %v are the same", err, other)
			}
		}
	}
}
