package deviceactor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

func prekey(i byte) x3dh.PreKeyPublic { return x3dh.PreKeyPublic{2, i} }

// bundleOf names installations with their versions and prekeys.
func bundleOf(timestamp int64, preKeys ...wire.SignedPreKey) *wire.Bundle {
	return &wire.Bundle{Timestamp: timestamp, PreKeys: preKeys}
}

func signed(id string, version uint32, key byte) wire.SignedPreKey {
	return wire.SignedPreKey{InstallationID: id, Key: wire.PublicKey(prekey(key)), Version: version, ProtocolVersion: 1}
}

func entry(timestamp int64, version uint32, key byte) sessionactor.Entry {
	return sessionactor.Entry{PreKey: prekey(key), Version: version, Timestamp: timestamp}
}

// T32, for all relations of time, version and sender.
func TestOlderTimestampNeverReplacesNewer(t *testing.T) {
	known := entry(100, 5, 1)
	for _, timestamp := range []int64{0, 99, 100, 101} {
		for _, version := range []uint32{0, 4, 5, 6} {
			for _, sender := range []string{"a", "sibling", ""} {
				c := Contact{}.put(Installation{ID: "a", Entry: known})
				b := bundleOf(timestamp, signed("a", version, 2), signed("sibling", 1, 3))
				next, _ := c.TakeBundle(b, sender, "", true, 1000)
				in, _ := next.Find("a")
				taken := in.Entry != known
				if taken && timestamp <= known.Timestamp {
					t.Errorf("time %d version %d from %q replaced %+v", timestamp, version, sender, known)
				}
				if want := timestamp > 100 && (sender == "a" || version > 5); taken != want {
					t.Errorf("time %d version %d from %q: taken %v, want %v", timestamp, version, sender, taken, want)
				}
				if taken && in.Entry != entry(timestamp, version, 2) {
					t.Errorf("took %+v", in.Entry)
				}
			}
		}
	}
}

// T32: a sibling that signs a stale entry again, later, brings nothing back.
func TestSiblingMayNotDowngradeByTimestamp(t *testing.T) {
	c, _ := Contact{}.TakeBundle(bundleOf(100, signed("a", 7, 1), signed("b", 1, 9)), "a", "", true, 1)
	c, taken := c.TakeBundle(bundleOf(500, signed("a", 3, 2), signed("b", 2, 8)), "b", "", true, 2)
	a, _ := c.Find("a")
	b, _ := c.Find("b")
	if a.Entry != entry(100, 7, 1) || b.Entry != entry(500, 2, 8) || len(taken.Changed) != 1 {
		t.Errorf("a has %+v, b has %+v", a.Entry, b.Entry)
	}
	c, _ = c.TakeBundle(bundleOf(600, signed("a", 8, 3), signed("b", 2, 8)), "b", "", true, 3)
	if a, _ := c.Find("a"); a.Entry != entry(600, 8, 3) {
		t.Errorf("a higher version from a sibling is not taken: %+v", a.Entry)
	}
}

// A device that lost its state counts versions anew.
func TestDeviceThatCountsAnewIsFollowed(t *testing.T) {
	c, _ := Contact{}.TakeBundle(bundleOf(100, signed("a", 7, 1)), "a", "", true, 1)
	for _, sender := range []string{"a", ""} { // alone in the bundle it is its own
		next, _ := c.TakeBundle(bundleOf(101, signed("a", 1, 2)), sender, "", true, 2)
		if a, _ := next.Find("a"); a.Entry != entry(101, 1, 2) {
			t.Errorf("from %q: %+v", sender, a.Entry)
		}
	}
}

func TestProtocolVersionNeverGoesDown(t *testing.T) {
	b := bundleOf(100, signed("a", 1, 1))
	b.PreKeys[0].ProtocolVersion = 3
	c, _ := Contact{}.TakeBundle(b, "a", "", true, 1)
	c, _ = c.TakeBundle(bundleOf(200, signed("a", 2, 2)), "a", "", true, 2)
	if a, _ := c.Find("a"); a.ProtocolVersion != 3 || a.Entry.Version != 2 {
		t.Errorf("got %+v", a)
	}
}

func TestTakingABundleTwiceChangesNothing(t *testing.T) {
	b := bundleOf(100, signed("a", 1, 1), signed("b", 1, 2))
	c, first := Contact{}.TakeBundle(b, "a", "", true, 1)
	if len(first.Changed) != 2 || len(first.Discovered) != 2 {
		t.Fatalf("first: %+v", first)
	}
	_, again := c.TakeBundle(b, "a", "", true, 2)
	if len(again.Changed)+len(again.Discovered) != 0 {
		t.Errorf("again: %+v", again)
	}
}

func TestStepsLeaveTheContactAsItWas(t *testing.T) {
	c, _ := Contact{}.TakeBundle(bundleOf(100, signed("a", 1, 1)), "a", "", true, 1)
	before := fmt.Sprintf("%+v", c)
	c.TakeBundle(bundleOf(200, signed("a", 2, 2), signed("b", 1, 3)), "a", "", true, 2)
	c.Heard("a", true, 3)
	c.Heard("new", true, 3)
	if _, _, err := c.Enable("a", false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Remember([sha256.Size]byte{1}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%+v", c); got != before {
		t.Errorf("got  %s\nwant %s", got, before)
	}
}

func TestOwnDevicesWaitForApproval(t *testing.T) {
	c, taken := Contact{}.TakeBundle(bundleOf(100, signed("this", 1, 1), signed("other", 1, 2)), "other", "this", false, 1)
	if len(taken.Discovered) != 1 || taken.Discovered[0].ID != "other" || taken.Discovered[0].Enabled {
		t.Fatalf("discovered %+v", taken.Discovered)
	}
	if got := c.Targets(3); len(got) != 0 {
		t.Errorf("targets before the approval: %+v", got)
	}
	if c, taken = c.Heard("third", false, 2); len(taken.Discovered) != 1 || len(c.Targets(3)) != 0 {
		t.Errorf("a device that only spoke: %+v", taken)
	}
	c, in, err := c.Enable("other", true)
	if err != nil || !in.Enabled {
		t.Fatalf("got %+v, %v", in, err)
	}
	if got := c.Targets(3); len(got) != 1 || got[0].ID != "other" {
		t.Errorf("targets after the approval: %+v", got)
	}
	c, _ = c.TakeBundle(bundleOf(200, signed("other", 2, 3)), "other", "this", false, 3)
	if in, _ := c.Find("other"); !in.Enabled {
		t.Error("a newer bundle took the approval back")
	}
	if _, _, err := c.Enable("this", true); !errors.Is(err, ErrUnknownInstallation) {
		t.Errorf("got %v", err)
	}
}

func TestTargetsAreTheMostRecentlyActive(t *testing.T) {
	for _, test := range []struct {
		active  map[string]int64
		n       int
		targets string
	}{
		{map[string]int64{}, 3, "[]"},
		{map[string]int64{"a": 1, "b": 2, "c": 3}, 3, "[a b c]"},
		{map[string]int64{"a": 9, "b": 2, "c": 3, "d": 4}, 3, "[a c d]"},
		{map[string]int64{"a": 1, "b": 2, "c": 3, "d": 4}, 1, "[d]"},
		{map[string]int64{"a": 5, "b": 5, "c": 5}, 2, "[a b]"},
		{map[string]int64{"a": 5, "b": -6, "c": 1}, 1, "[a]"}, // b is disabled
		{map[string]int64{"a": 5}, 0, "[]"},
	} {
		var c Contact
		for id, active := range test.active {
			c = c.put(Installation{ID: id, Enabled: active > 0, Active: active})
		}
		var got []string
		for _, in := range c.Targets(test.n) {
			got = append(got, in.ID)
		}
		if fmt.Sprint(got) != test.targets {
			t.Errorf("%v, at most %d: %v, want %s", test.active, test.n, got, test.targets)
		}
	}
}

func TestHeardMovesActivityForwardOnly(t *testing.T) {
	c := Contact{}.put(Installation{ID: "a", Enabled: true, Active: 10})
	for _, test := range []struct{ now, want int64 }{{9, 10}, {10, 10}, {11, 11}} {
		next, taken := c.Heard("a", true, test.now)
		if a, _ := next.Find("a"); a.Active != test.want || (len(taken.Changed) == 1) != (test.want > 10) || len(taken.Discovered) != 0 {
			t.Errorf("heard at %d: %+v, %+v", test.now, a, taken)
		}
	}
}

// T34: beyond the bound new installations are ignored, and push out nobody.
func TestInstallationsOfABundleAreBounded(t *testing.T) {
	var c Contact
	for i := range 200 {
		c, _ = c.TakeBundle(bundleOf(100, signed(fmt.Sprintf("%03d", i), 1, byte(i))), "", "", true, int64(i))
	}
	if len(c.Installations) != maxInstallations {
		t.Errorf("%d installations", len(c.Installations))
	}
	if _, ok := c.Find("000"); !ok {
		t.Error("the first one was pushed out")
	}
	if !slices.IsSortedFunc(c.Installations, func(a, b Installation) int { return byID(a, b.ID) }) {
		t.Error("installations are out of order")
	}
	c, _ = c.TakeBundle(bundleOf(101, signed("000", 2, 9)), "", "", true, 1000)
	if in, _ := c.Find("000"); in.Entry.Version != 2 {
		t.Error("a known one is not renewed at the bound")
	}
}

func TestDHOnlyMessageIsRememberedWithinItsBound(t *testing.T) {
	var c Contact
	var err error
	hash := func(i int) [sha256.Size]byte { return sha256.Sum256(fmt.Append(nil, i)) }
	for i := range maxSeen + 10 {
		if c, err = c.Remember(hash(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Remember(hash(i)); !errors.Is(err, ErrReplayed) {
			t.Fatalf("message %d again: %v", i, err)
		}
	}
	if len(c.Seen) != maxSeen {
		t.Errorf("%d remembered", len(c.Seen))
	}
	if _, err := c.Remember(hash(10)); !errors.Is(err, ErrReplayed) {
		t.Errorf("the oldest of the last %d: %v", maxSeen, err)
	}
}

func TestUnhandledMeansAgainLater(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{ErrNotDurable, true},
		{sessionactor.ErrUnavailable, true},
		{fmt.Errorf("in between: %w", ErrNotDurable), true},
		{ErrNotTargeted, false},
		{ErrUnsupported, false},
		{sessionactor.ErrNoSession, false},
		{ErrTooManyInstallations, false},
		{nil, false},
	} {
		if got := Unhandled(test.err); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
	}
}

func TestMessageIDIsAboutSenderAndEntriesOnly(t *testing.T) {
	base := func() *wire.Message {
		return &wire.Message{InstallationID: "a", Entries: []wire.Entry{
			{Recipient: "b", Part: wire.Part{Payload: []byte("x"), DH: &wire.DHHeader{Ephemeral: wire.PublicKey{2}}}},
		}}
	}
	sender := x3dh.IdentityPublicKey{2, 1}
	id := newMessageID(sender, base())
	for name, test := range map[string]struct {
		sender x3dh.IdentityPublicKey
		change func(*wire.Message)
		same   bool
	}{
		"as it was":           {sender, func(*wire.Message) {}, true},
		"another bundle":      {sender, func(m *wire.Message) { m.Bundles = []wire.Bundle{*bundleOf(1, signed("a", 1, 1))} }, true},
		"another sender":      {x3dh.IdentityPublicKey{2, 2}, func(*wire.Message) {}, false},
		"another device":      {sender, func(m *wire.Message) { m.InstallationID = "c" }, false},
		"another recipient":   {sender, func(m *wire.Message) { m.Entries[0].Recipient = "c" }, false},
		"another ciphertext":  {sender, func(m *wire.Message) { m.Entries[0].Part.Payload = []byte("y") }, false},
		"another header":      {sender, func(m *wire.Message) { m.Entries[0].Part.DH.Ephemeral[0] = 3 }, false},
		"one recipient more":  {sender, func(m *wire.Message) { m.Entries = append(m.Entries, wire.Entry{Recipient: "d"}) }, false},
		"one recipient fewer": {sender, func(m *wire.Message) { m.Entries = nil }, false},
	} {
		m := base()
		test.change(m)
		if got := newMessageID(test.sender, m) == id; got != test.same {
			t.Errorf("%s: same id %v, want %v", name, got, test.same)
		}
	}
}
