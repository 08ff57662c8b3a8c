package persistence_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-im/rookery/persistence"
)

func TestNameLayout(t *testing.T) {
	got := persistence.NewName(persistence.KindSession, []byte("ab"), nil, []byte{0xff})
	if want := persistence.Name("\x05\x00\x02ab\x00\x00\x00\x01\xff"); got != want {
		t.Fatalf("got %q, want %q", string(got), string(want))
	}
	if got.Kind() != persistence.KindSession || persistence.Name("").Kind() != 0 {
		t.Fatalf("wrong kinds: %v, %v", got.Kind(), persistence.Name("").Kind())
	}
}

func TestMalformedNamesAreRefused(t *testing.T) {
	for reason, name := range map[string]persistence.Name{
		"empty":           "",
		"unknown kind":    "\x00",
		"unknown kind ff": "\xff\x00\x00",
		"half a length":   "\x05\x00",
		"no bytes":        "\x05\x00\x01",
		"too few bytes":   "\x05\x00\x03ab",
		"bytes behind":    persistence.NewName(persistence.KindSession, []byte("a")) + "\x00",
	} {
		parts, err := name.Parts()
		var bad *persistence.NameError
		if !errors.Is(err, persistence.ErrBadName) || !errors.As(err, &bad) || bad.Name != name {
			t.Errorf("%s: got %v and error %v, want a *NameError", reason, parts, err)
		}
	}
}

func TestTooLongPartPanics(t *testing.T) {
	persistence.NewName(persistence.KindSession, make([]byte, 65535))
	defer func() {
		if recover() == nil {
			t.Fatal("a part that the length cannot tell was taken")
		}
	}()
	persistence.NewName(persistence.KindSession, make([]byte, 65536))
}

// TestNamesAreUnambiguous proves for T35 that no two lists of parts share a
// record, and that prefixes are lists' beginnings and nothing else.
func TestNamesAreUnambiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 4), 0, 4)
		kinds := rapid.Custom(func(t *rapid.T) persistence.Kind {
			return persistence.Kind(rapid.IntRange(int(persistence.KindIdentity), int(persistence.KindSeen)).Draw(t, "kind"))
		})
		kindA, kindB := kinds.Draw(t, "kindA"), kinds.Draw(t, "kindB")
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		nameA, nameB := persistence.NewName(kindA, a...), persistence.NewName(kindB, b...)

		back, err := nameA.Parts()
		if err != nil || nameA.Kind() != kindA || !equal(back, a) {
			t.Fatalf("%v %q came back as %v %q, %v", kindA, a, nameA.Kind(), back, err)
		}
		begins := kindA == kindB && len(a) <= len(b) && equal(a, b[:min(len(a), len(b))])
		if strings.HasPrefix(string(nameB), string(nameA)) != begins {
			t.Fatalf("%q is a prefix of %q: not as their parts %q, %q", string(nameA), string(nameB), a, b)
		}
	})
}

func equal(a, b [][]byte) bool {
	return slices.EqualFunc(a, b, slices.Equal[[]byte])
}

func TestNamesReadWell(t *testing.T) {
	key := make([]byte, 33)
	key[0] = 2
	for want, name := range map[string]persistence.Name{
		"session/peer/x00ff/":                               persistence.NewName(persistence.KindSession, []byte("peer"), []byte{0, 255}, nil),
		"identity/x0200000000000000...":                     persistence.NewName(persistence.KindIdentity, key),
		"installation/0c4d2a90-3a0f-4b34-9d63-5a3b0d9d3a11": persistence.NewName(persistence.KindInstallation, []byte("0c4d2a90-3a0f-4b34-9d63-5a3b0d9d3a11")),
		"contact/x610a62":                                   persistence.NewName(persistence.KindContact, []byte("a\nb")),
		"inbox/x612f62":                                     persistence.NewName(persistence.KindInbox, []byte("a/b")),
		"malformed:x0001":                                   "\x00\x01",
		"malformed:x0500":                                   "\x05\x00",
		"malformed:xff00000000000000...":                    persistence.Name("\xff" + strings.Repeat("\x00", 60)),
	} {
		if got := name.String(); got != want {
			t.Errorf("%q reads %q, want %q", string(name), got, want)
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := make(map[string]bool)
	for kind := persistence.KindIdentity; ; kind++ {
		if _, err := persistence.NewName(kind).Parts(); err != nil {
			break
		}
		if seen[kind.String()] || strings.HasPrefix(kind.String(), "kind-") {
			t.Errorf("kind %d is called %q", kind, kind)
		}
		seen[kind.String()] = true
	}
	if len(seen) < 11 {
		t.Fatalf("%d kinds, want at least 11", len(seen))
	}
}

func TestOwnerIDsTellInstallationsApart(t *testing.T) {
	const identity, installation = "\x02key", "inst"
	got := persistence.NewOwnerID([]byte(identity), installation)
	// SHA-256 of 00000004 026b6579 00000004 696e7374, cut to 16 bytes.
	if want := "d2188e109227dc174e29a52c3e6a4c86"; got.String() != want {
		t.Errorf("owner id is %s, want %s", got, want)
	}
	for _, other := range []persistence.OwnerID{
		persistence.NewOwnerID([]byte("\x02keyi"), "nst"),
		persistence.NewOwnerID([]byte("\x02ke"), "yinst"),
		persistence.NewOwnerID(nil, identity+installation),
	} {
		if other == got {
			t.Errorf("moving bytes between identity and installation keeps the owner id")
		}
	}
}

func TestErrorsNameWhatAndWhere(t *testing.T) {
	name := persistence.NewName(persistence.KindSession, []byte("peer"))
	cause := fmt.Errorf("read: %w", persistence.ErrCorrupt)
	for want, err := range map[string]error{
		"get session/peer: read: store is corrupt":                 &persistence.RecordError{Op: "get", Name: name, Err: cause},
		"open store /d: directory is in use":                       &persistence.StoreError{Op: "open", Path: "/d", Kind: persistence.ErrLocked},
		"open store /d: store has failed: read: store is corrupt":  &persistence.StoreError{Op: "open", Path: "/d", Kind: persistence.ErrFailed, Err: cause},
		"bad record name session/peer: fences are the store's own": &persistence.NameError{Name: name, Reason: "fences are the store's own"},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	both := &persistence.StoreError{Kind: persistence.ErrFailed, Err: cause}
	if !errors.Is(both, persistence.ErrFailed) || !errors.Is(both, persistence.ErrCorrupt) {
		t.Error("a store error hides its kind or its cause")
	}
}
