package x3dh

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
)

// readings finds every bundle that has the given signed bytes: one or more
// entries id || prekey (33 bytes, 02 or 03 first) || version (decimal without
// leading zeros, 32 bits), ids in ascending order, then a timestamp (decimal
// without leading zeros, 64 bits, possibly negative) or nothing. It is written
// from that grammar alone and tries every split.
func readings(material []byte) (found []wire.Bundle) {
	var entries []wire.SignedPreKey
	var entry func(rest []byte)
	entry = func(rest []byte) {
		if len(entries) > 0 {
			if timestamp, ok := readTimestamp(rest); ok {
				found = append(found, wire.Bundle{PreKeys: slices.Clone(entries), Timestamp: timestamp})
			}
		}
		for end := 0; end+34 <= len(rest); end++ { // an id, at least one digit after the key
			id, after := string(rest[:end]), rest[end+33:]
			if rest[end] != 2 && rest[end] != 3 || len(entries) > 0 && entries[len(entries)-1].InstallationID >= id {
				continue
			}
			for digits := 1; digits <= 10 && digits <= len(after); digits++ {
				version, ok := readVersion(after[:digits])
				if !ok {
					continue
				}
				entries = append(entries, wire.SignedPreKey{InstallationID: id, Key: wire.PublicKey(rest[end:]), Version: version})
				entry(after[digits:])
				entries = entries[:len(entries)-1]
			}
		}
	}
	entry(material)
	return found
}

func readVersion(b []byte) (uint32, bool) {
	v, err := strconv.ParseUint(string(b), 10, 32)
	return uint32(v), err == nil && strconv.FormatUint(v, 10) == string(b)
}

func readTimestamp(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, true
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	return v, err == nil && v != 0 && strconv.FormatInt(v, 10) == string(b)
}

// believable are the readings that CheckBundle accepts with that signature.
func believable(b *wire.Bundle, now int64) (all int, accepted []wire.Bundle) {
	found := readings(signatureMaterial(b))
	for _, r := range found {
		r.Identity, r.Signature = b.Identity, b.Signature
		if CheckBundle(&r, now) == nil {
			accepted = append(accepted, r)
		}
	}
	return len(found), accepted
}

func sameSignedContent(a, b *wire.Bundle) bool {
	return a.Timestamp == b.Timestamp && a.Identity == b.Identity && slices.EqualFunc(a.PreKeys, b.PreKeys, func(x, y wire.SignedPreKey) bool {
		return x.InstallationID == y.InstallationID && x.Key == y.Key && x.Version == y.Version
	})
}

// checkOneReading holds one accepted bundle against all readings of its bytes.
func checkOneReading(b *wire.Bundle, now int64) (all int, err error) {
	all, accepted := believable(b, now)
	switch {
	case len(accepted) != 1:
		return all, fmt.Errorf("%d of %d readings are believed", len(accepted), all)
	case !sameSignedContent(&accepted[0], b):
		return all, errors.New("another reading than the bundle itself is believed")
	}
	return all, nil
}

// drawKey gives a point whose bytes look like the other fields where they can:
// only the last bytes are changed until it is on the curve.
func drawKey(rt *rapid.T) wire.PublicKey {
	alphabet := []byte("\x02\x030123456789abcdef-")
	key := wire.PublicKey{rapid.SampledFrom([]byte{2, 3}).Draw(rt, "prefix")}
	for i := range key[1:] {
		key[1+i] = rapid.SampledFrom(alphabet).Draw(rt, "byte")
	}
	for curve.PublicKey(key).Check() != nil {
		if key[32]++; key[32] == 0 {
			key[31]++
		}
	}
	return key
}

func drawUUID(rt *rapid.T) string {
	letters := rapid.SampledFrom([]string{"0123456789", "0123456789abcdef", "01", "0123456789ABCDEF"}).Draw(rt, "letters")
	b := []byte("00000000-0000-0000-0000-000000000000")
	for i, c := range b {
		if c == '0' {
			b[i] = letters[rapid.IntRange(0, len(letters)-1).Draw(rt, "digit")]
		}
	}
	return string(b)
}

// drawVersion prefers numbers that are digits of other things.
func drawVersion(rt *rapid.T) uint32 {
	return rapid.OneOf(
		rapid.Uint32Range(0, 30),
		rapid.SampledFrom([]uint32{0, 1, 12, 117297, 11795226, math.MaxUint32, 429496729, 1_000_000_000}),
		rapid.Uint32(),
	).Draw(rt, "version")
}

func drawBundle(rt *rapid.T, owner *IdentityKey) wire.Bundle {
	var ids []string
	if rapid.Bool().Draw(rt, "alone") {
		ids = []string{rapid.OneOf(
			rapid.StringMatching(`[!-~]{1,12}`),
			rapid.StringMatching(`[0-9]{1,100}`),
			rapid.Custom(drawUUID),
			rapid.Custom(func(rt *rapid.T) string { return drawUUID(rt) + "1" + drawUUID(rt) }),
		).Draw(rt, "id")}
	} else {
		ids = rapid.SliceOfNDistinct(rapid.Custom(drawUUID), 2, 3, rapid.ID).Draw(rt, "ids")
	}
	b := wire.Bundle{Timestamp: rapid.OneOf(
		rapid.Int64Range(EarliestTimestamp, noon+maxAhead),
		rapid.SampledFrom([]int64{EarliestTimestamp, noon, noon + maxAhead, 1_600_000_000_000_000_000}),
	).Draw(rt, "timestamp")}
	for _, id := range ids {
		b.PreKeys = append(b.PreKeys, wire.SignedPreKey{InstallationID: id, Key: drawKey(rt), Version: drawVersion(rt)})
	}
	if err := SignBundle(owner, &b); err != nil {
		rt.Fatal(err)
	}
	return b
}

// T30: the signed bytes of every bundle that is believed have exactly one
// reading that would be believed.
func TestBelievedBundlesHaveOneReading(t *testing.T) {
	owner := newIdentity(t, "owner")
	ambiguous := 0
	rapid.Check(t, func(rt *rapid.T) {
		b := drawBundle(rt, &owner)
		if err := CheckBundle(&b, noon); err != nil {
			if b.PreKeys[0].InstallationID != wire.NoInstallation {
				rt.Fatalf("a good bundle is refused: %v", err)
			}
			return
		}
		all, err := checkOneReading(&b, noon)
		if err != nil {
			rt.Fatal(err)
		}
		if all > 1 {
			ambiguous++
		}
	})
	// Without the rules nearly every bundle can be read in another way: at least
	// the digits of version and timestamp can be split elsewhere.
	if ambiguous < 20 {
		t.Errorf("only %d bundles had readings to choose from", ambiguous)
	}
}

// T30: also with installation ids of any form, which CheckBundle then has to
// refuse if there is a choice.
func TestNoBelievedBundleHasAChoice(t *testing.T) {
	owner := newIdentity(t, "owner")
	believed, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		b := drawBundle(rt, &owner)
		for i := range b.PreKeys {
			if rapid.IntRange(0, 2).Draw(rt, "rename") == 0 {
				b.PreKeys[i].InstallationID = rapid.StringMatching(`[0-9a-f\x02\x03-]{0,40}`).Draw(rt, "free id")
			}
		}
		b.Timestamp = rapid.OneOf(rapid.Just(b.Timestamp), rapid.Int64Range(-10, 1_000_000), rapid.Int64()).Draw(rt, "any timestamp")
		if err := SignBundle(&owner, &b); err != nil {
			rt.Fatal(err)
		}
		if err := CheckBundle(&b, noon); err != nil {
			refused++
			return
		}
		believed++
		if _, err := checkOneReading(&b, noon); err != nil {
			rt.Fatal(err)
		}
	})
	if believed < 5 || refused < 5 {
		t.Errorf("%d believed, %d refused: one side was hardly tried", believed, refused)
	}
}

// The search itself must find every reading, or the properties above say
// nothing.
func TestReadingsFindsEverySplit(t *testing.T) {
	a, b := entryOf(t, uuidA, 117), entryOf(t, uuidB, 1)
	bundle := signed(t, noon, a, b)
	found := readings(signatureMaterial(&bundle))
	entry := func(id string, key wire.PublicKey, version uint32) wire.SignedPreKey {
		return wire.SignedPreKey{InstallationID: id, Key: key, Version: version}
	}
	first := entry(uuidA, a.Key, 117)
	for name, want := range map[string]wire.Bundle{
		"the true one":       {Timestamp: noon, PreKeys: []wire.SignedPreKey{first, entry(uuidB, b.Key, 1)}},
		"a longer version":   {Timestamp: 795226644013031427, PreKeys: []wire.SignedPreKey{first, entry(uuidB, b.Key, 11)}},
		"a long one":         {Timestamp: 4013031427, PreKeys: []wire.SignedPreKey{first, entry(uuidB, b.Key, 1179522664)}},
		"a longer id":        {Timestamp: noon, PreKeys: []wire.SignedPreKey{entry(uuidA, a.Key, 1), entry("17"+uuidB, b.Key, 1)}},
		"a shorter id":       {Timestamp: noon, PreKeys: []wire.SignedPreKey{entry(uuidA, a.Key, 1172), entry(uuidB[1:], b.Key, 1)}},
		"one entry, long id": {Timestamp: noon, PreKeys: []wire.SignedPreKey{entry(uuidA+string(a.Key[:])+"117"+uuidB, b.Key, 1)}},
	} {
		if !bytes.Equal(signatureMaterial(&want), signatureMaterial(&bundle)) {
			t.Fatalf("%s: it has other signed bytes", name)
		}
		want.Identity = bundle.Identity
		if !slices.ContainsFunc(found, func(r wire.Bundle) bool { r.Identity = want.Identity; return sameSignedContent(&r, &want) }) {
			t.Errorf("%s: not found", name)
		}
	}
	for _, r := range found {
		if !bytes.Equal(signatureMaterial(&r), signatureMaterial(&bundle)) {
			t.Errorf("a reading with other signed bytes: %+v", r)
		}
	}
}

// T30: both collisions published for this format. The signature stays valid for
// the second reading; only the rules refuse it.
func TestPublishedCollisionsAreRefused(t *testing.T) {
	t.Run("digits move from the timestamp to the version", func(t *testing.T) {
		good := signed(t, 1795226644013031427, entryOf(t, uuidA, 1))
		evil := clone(good)
		evil.PreKeys[0].Version, evil.Timestamp = 11795226, 644013031427
		checkCollision(t, good, evil, ErrBundleTimestamp)
	})
	t.Run("a digit moves from the version to the next installation id", func(t *testing.T) {
		good := signed(t, noon, entryOf(t, uuidA, 1), entryOf(t, uuidB, 1))
		evil := clone(good)
		// Versions "1" and "12" with the next id one letter shorter; and back.
		evil.PreKeys[0].Version = 12
		evil.PreKeys[1].InstallationID = strings.TrimPrefix(uuidB, "2")
		checkCollision(t, good, evil, ErrBundleAmbiguous)
	})
	t.Run("a digit moves from the next installation id to the version", func(t *testing.T) {
		good := signed(t, noon, entryOf(t, uuidA, 12), entryOf(t, uuidB, 1))
		evil := clone(good)
		evil.PreKeys[0].Version = 1
		evil.PreKeys[1].InstallationID = "2" + uuidB
		checkCollision(t, good, evil, ErrBundleAmbiguous)
	})
	t.Run("the second installation becomes part of the first one's id", func(t *testing.T) {
		a, b := entryOf(t, uuidA, 1), entryOf(t, uuidB, 1)
		good := signed(t, noon, a, b)
		evil := clone(good)
		evil.PreKeys = []wire.SignedPreKey{{InstallationID: uuidA + string(a.Key[:]) + "1" + uuidB, Key: b.Key, Version: 1}}
		checkCollision(t, good, evil, ErrBundleAmbiguous)
	})
	t.Run("the timestamp becomes digits of the version", func(t *testing.T) {
		evil := signed(t, 0, entryOf(t, uuidA, 1234567890))
		checkCollision(t, evil, evil, ErrBundleTimestamp)
	})
}

// checkCollision wants two bundles with the same signed bytes and signature, of
// which the first is believed (unless they are the same) and the second not.
func checkCollision(t *testing.T, good, evil wire.Bundle, want error) {
	t.Helper()
	if !bytes.Equal(signatureMaterial(&good), signatureMaterial(&evil)) {
		t.Fatalf("the signed bytes differ: %q and %q", signatureMaterial(&good), signatureMaterial(&evil))
	}
	if err := VerifySignature(&evil); err != nil {
		t.Fatalf("the signature is not valid for both: %v", err)
	}
	if err := CheckBundle(&good, noon); err != nil && !sameSignedContent(&good, &evil) {
		t.Errorf("the true reading is refused: %v", err)
	}
	if err := CheckBundle(&evil, noon); !errors.Is(err, want) {
		t.Errorf("the other reading: %v, want %v", err, want)
	}
}
