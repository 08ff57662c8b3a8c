package deviceactor

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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

// bySibling is an entry that another device has signed.
func bySibling(e sessionactor.Entry) sessionactor.Entry {
	e.BySibling = true
	return e
}

// told is what the application hears of a step, in a few words.
func told(e Effects) string {
	var out []string
	for _, event := range e.Events {
		switch e := event.(type) {
		case InstallationDiscovered:
			out = append(out, map[bool]string{true: "new ", false: "waiting "}[e.Enabled]+e.Installation)
		case InstallationEnabled:
			out = append(out, map[bool]string{true: "enabled ", false: "disabled "}[e.Enabled]+e.Installation)
		case InstallationStale:
			out = append(out, map[bool]string{true: "stale ", false: "back "}[e.Stale]+e.Installation)
		case Alarm:
			out = append(out, map[error]string{
				ErrEvicted: "evicted ", ErrIgnored: "ignored ", ErrConflict: "conflict ", ErrDowngrade: "downgrade ",
			}[e.Err]+e.Installation)
		case ForwardSecrecyEstablished:
			out = append(out, "forward secrecy")
		case MessageReceived:
			out = append(out, "message "+string(e.Payload))
		default:
			out = append(out, fmt.Sprintf("%T", event))
		}
	}
	return strings.Join(out, ", ")
}

// T32, T40, T42: which entry of a bundle replaces which, for all relations of
// time, version and sender. What an installation says of itself counts by its
// time, what a sibling says of it by its version too, and of both what the
// installation itself says.
// Spec: 5.re-keying.1 5.multi-device.1
func TestOlderTimestampNeverReplacesNewer(t *testing.T) {
	for _, known := range []Installation{
		{Entry: entry(100, 5, 1), Signed: 100},
		{Entry: bySibling(entry(100, 5, 1)), Signed: 50},
		{Entry: bySibling(entry(100, 5, 1))},
	} {
		known.ID, known.Enabled, known.ProtocolVersion = "a", true, 3
		for _, timestamp := range []int64{math.MinInt64, 0, 49, 50, 51, 99, 100, 101, math.MaxInt64} {
			for _, version := range []uint32{0, 4, 5, 6, math.MaxUint32} {
				for _, key := range []byte{1, 2} {
					for _, sender := range []string{"a", "sibling", ""} {
						name := fmt.Sprintf("known %+v, prekey %d of time %d and version %d from %q", known, key, timestamp, version, sender)
						c := Contact{}.put(known).put(Installation{ID: "sibling", Entry: entry(100, 1, 3), Enabled: true, Signed: math.MaxInt64})
						b := bundleOf(timestamp, signed("a", version, key), signed("sibling", 1, 3))
						next, e := c.TakeBundle(here, b, sender, 1000)

						want, conflict := known, ""
						later, higher := timestamp > 100, version > 5
						switch {
						case sender != "a":
							if later && higher {
								want.Entry = bySibling(entry(timestamp, version, key))
							}
						case timestamp <= known.Signed:
							if timestamp == known.Signed && !known.Entry.BySibling && key == 2 {
								conflict = "conflict a"
							}
						default:
							want.Signed = timestamp
							if later || known.Entry.BySibling && key == 2 && (timestamp == 100 || higher) {
								want.Entry = entry(timestamp, version, key)
							}
						}
						if sender == "a" && want.Signed == timestamp && conflict == "" {
							want.Bundle = hashBundle(b)
						}
						if in, _ := next.Find("a"); in != want {
							t.Errorf("%s: got %+v, want %+v", name, in, want)
						}
						if told(e) != conflict {
							t.Errorf("%s: told %q, want %q", name, told(e), conflict)
						}
						stored := slices.ContainsFunc(e.Installations, func(i Installation) bool { return i.ID == "a" })
						if stored != (want != known) {
							t.Errorf("%s: stored %v", name, stored)
						}
					}
				}
			}
		}
	}
}

// T32: a sibling that signs a stale entry again, later, brings nothing back.
func TestSiblingMayNotDowngradeByTimestamp(t *testing.T) {
	c, _ := Contact{}.TakeBundle(here, bundleOf(100, signed("a", 7, 1), signed("b", 1, 9)), "a", 1)
	c, e := c.TakeBundle(here, bundleOf(500, signed("a", 3, 2), signed("b", 2, 8)), "b", 2)
	a, _ := c.Find("a")
	b, _ := c.Find("b")
	if a.Entry != entry(100, 7, 1) || b.Entry != entry(500, 2, 8) || len(e.Installations) != 1 {
		t.Errorf("a has %+v, b has %+v", a.Entry, b.Entry)
	}
	c, _ = c.TakeBundle(here, bundleOf(600, signed("a", 8, 3), signed("b", 2, 8)), "b", 3)
	if a, _ := c.Find("a"); a.Entry != bySibling(entry(600, 8, 3)) {
		t.Errorf("a higher version from a sibling is not taken: %+v", a.Entry)
	}
}

// A sibling may sign later what it knows of a device from before: the device's
// own word is the newer one, unless it is an old one that comes again (T32).
func TestDevicesOwnWordIsNewerThanWhatASiblingRepeats(t *testing.T) {
	learnt, _ := Contact{}.TakeBundle(here, bundleOf(300, signed("a", 1, 1), signed("b", 1, 9)), "b", 1)
	for _, test := range []struct {
		name      string
		timestamp int64
		version   uint32
		key       byte
		taken     bool
	}{
		{"higher version, signed before the sibling", 260, 2, 2, true},
		{"another prekey of the same version, signed before", 260, 1, 2, false},
		{"another prekey of the same version, signed at the same time", 300, 1, 2, true},
		{"lower version, signed after", 301, 0, 2, true},
		{"the same prekey, signed before", 260, 1, 1, false},
		{"the same prekey, signed after", 301, 1, 1, true},
	} {
		c, _ := learnt.TakeBundle(here, bundleOf(test.timestamp, signed("a", test.version, test.key)), "a", 2)
		want := bySibling(entry(300, 1, 1))
		if test.taken {
			want = entry(test.timestamp, test.version, test.key)
		}
		if a, _ := c.Find("a"); a.Entry != want || a.Signed != test.timestamp {
			t.Errorf("%s: %+v", test.name, a)
		}
	}
	// Its own newest word counts against an old one, also after a sibling's.
	c, _ := Contact{}.TakeBundle(here, bundleOf(100, signed("a", 2, 2)), "a", 1)
	c, _ = c.TakeBundle(here, bundleOf(300, signed("a", 3, 3), signed("b", 1, 9)), "b", 2)
	c, e := c.TakeBundle(here, bundleOf(90, signed("a", 7, 7)), "a", 3)
	if a, _ := c.Find("a"); a.Entry != bySibling(entry(300, 3, 3)) || len(e.Installations) != 0 {
		t.Errorf("an old bundle that comes again: %+v", a)
	}
}

// A device that lost its state counts versions anew.
func TestDeviceThatCountsAnewIsFollowed(t *testing.T) {
	c, _ := Contact{}.TakeBundle(here, bundleOf(100, signed("a", 7, 1)), "a", 1)
	for _, sender := range []string{"a", ""} { // alone in the bundle it is its own
		next, _ := c.TakeBundle(here, bundleOf(101, signed("a", 1, 2)), sender, 2)
		if a, _ := next.Find("a"); a.Entry != entry(101, 1, 2) {
			t.Errorf("from %q: %+v", sender, a.Entry)
		}
	}
	c, _ = c.TakeBundle(here, bundleOf(200, signed("a", 7, 1), signed("b", 1, 3)), "b", 3)
	next, _ := c.TakeBundle(here, bundleOf(201, signed("a", 1, 2), signed("b", 1, 3)), "", 4)
	if a, _ := next.Find("a"); a.Entry != entry(100, 7, 1) {
		t.Errorf("of two devices neither is known as the sender: %+v", a.Entry)
	}
}

// T42: two bundles of one installation, signed at the same time with different
// prekeys: the one known stays, and the user hears of it. What a sibling signs
// of it again is no contradiction.
func TestContradictingBundlesRaiseAnAlarm(t *testing.T) {
	c, _ := Contact{}.TakeBundle(here, bundleOf(100, signed("a", 1, 1)), "a", 1)
	for _, test := range []struct {
		name   string
		b      *wire.Bundle
		sender string
		want   string
	}{
		{"the same again", bundleOf(100, signed("a", 1, 1)), "a", ""},
		{"another prekey", bundleOf(100, signed("a", 1, 2)), "a", "conflict a"},
		{"another prekey and version", bundleOf(100, signed("a", 2, 2)), "a", "conflict a"},
		{"another version of the same prekey", bundleOf(100, signed("a", 2, 1)), "a", ""},
		{"alone, its sender not known", bundleOf(100, signed("a", 1, 2)), "", "conflict a"},
		{"a sibling's", bundleOf(100, signed("a", 1, 2)), "b", ""},
		{"older", bundleOf(99, signed("a", 1, 2)), "a", ""},
	} {
		next, e := c.TakeBundle(here, test.b, test.sender, 2)
		if told(e) != test.want {
			t.Errorf("%s: told %q, want %q", test.name, told(e), test.want)
		}
		if in, _ := next.Find("a"); in.Entry != entry(100, 1, 1) || len(e.Installations) != 0 {
			t.Errorf("%s: took %+v", test.name, in.Entry)
		}
	}
}

// T40
func TestProtocolVersionNeverGoesDown(t *testing.T) {
	for _, test := range []struct{ known, announced, want uint32 }{{3, 1, 3}, {3, 3, 3}, {3, 4, 4}, {3, 0, 3}} {
		c := Contact{}.put(Installation{ID: "a", Entry: entry(100, 1, 1), ProtocolVersion: test.known})
		b := bundleOf(200, signed("a", 2, 2))
		b.PreKeys[0].ProtocolVersion = test.announced
		c, _ = c.TakeBundle(here, b, "a", 2)
		if a, _ := c.Find("a"); a.ProtocolVersion != test.want || a.Entry.Version != 2 {
			t.Errorf("%d known, %d announced: %+v", test.known, test.announced, a)
		}
	}
}

func TestTakingABundleTwiceChangesNothing(t *testing.T) {
	b := bundleOf(100, signed("a", 1, 1), signed("b", 1, 2))
	c, first := Contact{}.TakeBundle(here, b, "a", 1)
	if len(first.Installations) != 2 || told(first) != "new a, new b" {
		t.Fatalf("first: %+v", first)
	}
	_, again := c.TakeBundle(here, b, "a", 2)
	if len(again.Installations)+len(again.Events) != 0 || again.Contact {
		t.Errorf("again: %+v", again)
	}
}

// Whether a new installation is sent to at once.
// T33
// Spec: 5.pairing.3 5.pairing.4 5.pairing.5 5.paired-group.1
func TestNewInstallationsAreEnabledByPolicy(t *testing.T) {
	someone := Contact{Identity: x3dh.IdentityPublicKey{3, 9}}
	known := someone.put(Installation{ID: "known", Enabled: true, FirstSeen: 1})
	for _, test := range []struct {
		name   string
		c      Contact
		policy DevicePolicy
		want   bool
	}{
		{"a contact's first", someone, EnableNew, true},
		{"a contact's next", known, EnableNew, true},
		{"a contact's first, with the policy to ask", someone, AskFirst, true},
		{"a contact's next, with the policy to ask", known, AskFirst, false},
		{"our own first", ours, EnableNew, false},
		{"our own next", ours.put(Installation{ID: "known", Enabled: true}), EnableNew, false},
		{"our own, with the policy to ask", ours, AskFirst, false},
	} {
		v := here
		v.Devices = test.policy
		want := map[bool]string{true: "new a", false: "waiting a"}[test.want]
		taken, e := test.c.TakeBundle(v, bundleOf(100, signed("a", 1, 1)), "a", 5)
		if in, _ := taken.Find("a"); in.Enabled != test.want || in.FirstSeen != 5 || in.Active != 0 || told(e) != want {
			t.Errorf("%s, by a bundle: %+v, told %q", test.name, in, told(e))
		}
		heard, e := test.c.heard(v, "a", 5)
		if in, _ := heard.Find("a"); in.Enabled != test.want || in.Active != 5 || !in.Entry.IsZero() || told(e) != want {
			t.Errorf("%s, by a message: %+v, told %q", test.name, in, told(e))
		}
		if ok := strings.Contains(ids(heard.Targets(v, 6)), "a"); ok != test.want {
			t.Errorf("%s: a target %v", test.name, ok)
		}
	}
}

// With the policy to ask, what the first bundle of a contact names is one first
// sight; what comes later is not.
func TestFirstBundleIsBelievedAsAWhole(t *testing.T) {
	v := here
	v.Devices = AskFirst
	c, e := Contact{}.TakeBundle(v, bundleOf(100, signed("a", 1, 1), signed("b", 1, 2)), "a", 1)
	if told(e) != "new a, new b" {
		t.Errorf("told %q", told(e))
	}
	if _, e = c.TakeBundle(v, bundleOf(200, signed("a", 1, 1), signed("b", 1, 2), signed("c", 1, 3)), "a", 2); told(e) != "waiting c" {
		t.Errorf("then told %q", told(e))
	}
}

// Spec: 5.pairing.4 5.pairing.5 5.pairing.6 draft.ghost-device.1
func TestOwnDevicesWaitForApproval(t *testing.T) {
	c, e := ours.TakeBundle(here, bundleOf(100, signed("this", 1, 1), signed("other", 1, 2)), "other", 1)
	if told(e) != "waiting other" || ids(c.Installations) != "[other]" {
		t.Fatalf("told %q, known %s", told(e), ids(c.Installations))
	}
	if got := ids(c.Targets(here, 1)); got != "[]" {
		t.Errorf("targets before the approval: %s", got)
	}
	if c, e = c.heard(here, "third", 2); told(e) != "waiting third" || len(c.Targets(here, 2)) != 0 {
		t.Errorf("a device that only spoke: %q", told(e))
	}
	c, e, err := c.Enable(here, "other", true, 2)
	if err != nil || told(e) != "enabled other" || len(e.Installations) != 1 {
		t.Fatalf("told %q, %v", told(e), err)
	}
	if got := ids(c.Targets(here, 2)); got != "[other]" {
		t.Errorf("targets after the approval: %s", got)
	}
	c, _ = c.TakeBundle(here, bundleOf(200, signed("other", 2, 3)), "other", 3)
	if in, _ := c.Find("other"); !in.Enabled {
		t.Error("a newer bundle took the approval back")
	}
	if c, _, err = c.Enable(here, "third", true, 3); err != nil || ids(c.Targets(here, 3)) != "[other third]" {
		t.Errorf("the third of three: %v", err)
	}
	c, _ = c.heard(here, "fourth", 4)
	if _, e, err := c.Enable(here, "fourth", true, 4); !errors.Is(err, ErrTooManyInstallations) || len(e.Events)+len(e.Installations) != 0 {
		t.Errorf("the fourth: %v", err)
	}
	if c, _, err = c.Enable(here, "other", false, 5); err != nil {
		t.Fatal(err)
	}
	if c, _, err = c.Enable(here, "fourth", true, 6); err != nil || ids(c.Targets(here, 6)) != "[fourth third]" {
		t.Errorf("in place of another: %v, %s", err, ids(c.Targets(here, 6)))
	}
	c, _ = c.heard(here, "fifth", 7)
	denied := func(id string) bool { in, _ := c.Find(id); return in.Denied }
	if denied("fifth") {
		t.Error("a new device was denied by itself")
	}
	if c, e, err = c.Enable(here, "fifth", false, 8); err != nil || told(e) != "disabled fifth" || !denied("fifth") {
		t.Errorf("saying no: told %q, %v", told(e), err)
	}
	if _, e, err = c.Enable(here, "fifth", false, 9); err != nil || len(e.Events)+len(e.Installations) != 0 {
		t.Errorf("saying no again: told %q, %v", told(e), err)
	}
	if c, _, err = c.Enable(here, "third", false, 10); err != nil || !denied("third") {
		t.Errorf("disabled is not denied: %v", err)
	}
	if c, _, err = c.Enable(here, "fifth", true, 11); err != nil || denied("fifth") {
		t.Errorf("approved after all: %v", err)
	}
	if _, _, err := c.Enable(here, "this", true, 7); !errors.Is(err, ErrUnknownInstallation) {
		t.Errorf("this one: %v", err)
	}
}

// T33: what was disabled stays so, whatever comes from it or about it, until it
// is enabled again.
// Spec: 5.pairing.10
func TestDisabledInstallationStaysDisabled(t *testing.T) {
	c, _ := Contact{}.TakeBundle(here, bundleOf(100, signed("a", 1, 1), signed("b", 1, 2)), "a", 1)
	c, e, err := c.Enable(here, "a", false, 2)
	if err != nil || told(e) != "disabled a" {
		t.Fatalf("told %q, %v", told(e), err)
	}
	if _, e, err := c.Enable(here, "a", false, 2); err != nil || len(e.Events)+len(e.Installations) != 0 {
		t.Errorf("again: told %q, %v", told(e), err)
	}
	c, _ = c.TakeBundle(here, bundleOf(200, signed("a", 2, 3), signed("b", 1, 2)), "a", 3)
	c, _ = c.TakeBundle(here, bundleOf(300, signed("a", 3, 4), signed("b", 2, 5)), "b", 4)
	c, _ = c.heard(here, "a", 5)
	if got := ids(c.Targets(here, 6)); got != "[b]" {
		t.Errorf("targets %s", got)
	}
	in, _ := c.Find("a")
	if in.Entry != bySibling(entry(300, 3, 4)) || in.Active != 5 {
		t.Errorf("what is known of it is not kept: %+v", in)
	}
	if c, e, err = c.Enable(here, "a", true, 7); err != nil || told(e) != "enabled a" || ids(c.Targets(here, 7)) != "[a b]" {
		t.Errorf("told %q, %v", told(e), err)
	}
}

// Contacts may have more enabled installations than are sent to.
func TestEnablingAContactsInstallationHasNoCap(t *testing.T) {
	c := Contact{Identity: x3dh.IdentityPublicKey{3, 9}}
	for i := range 6 {
		c = c.put(Installation{ID: fmt.Sprint(i), Active: int64(i)})
	}
	var err error
	for i := range 6 {
		if c, _, err = c.Enable(here, fmt.Sprint(i), true, 10); err != nil {
			t.Fatal(err)
		}
	}
	if got := ids(c.Targets(here, 10)); got != "[3 4 5]" {
		t.Errorf("targets %s", got)
	}
	if _, e, err := c.Enable(here, "unheard of", true, 10); !errors.Is(err, ErrUnknownInstallation) || len(e.Events) != 0 {
		t.Errorf("got %v", err)
	}
}

// The clock may have been ahead when a device was heard. Of what follows within a minute
// nothing is noted, unless it decides who is sent to.
func TestActivityIsWhenADeviceWasHeardLast(t *testing.T) {
	few := Contact{}.put(Installation{ID: "a", Enabled: true, Active: 10})
	many := few
	for _, id := range []string{"b", "c", "d"} {
		many = many.put(Installation{ID: id, Enabled: true, Active: 10})
	}
	never := Contact{}.put(Installation{ID: "a", Enabled: true})
	for _, test := range []struct {
		of        Contact
		now, want int64
		noted     bool
	}{
		{few, 9, 9, true},
		{few, 10, 10, false},
		{few, 11, 10, false},
		{few, 9 + activeEvery, 10, false},
		{few, 10 + activeEvery, 10 + activeEvery, true},
		{many, 10, 10, false},
		{many, 11, 11, true},
		{never, 11, 11, true},
	} {
		next, e := test.of.heard(here, "a", test.now)
		if a, _ := next.Find("a"); a.Active != test.want || (len(e.Installations) == 1) != test.noted || len(e.Events) != 0 {
			t.Errorf("one of %d, heard at %d: %+v, %+v", len(test.of.Installations), test.now, a, e)
		}
	}
}
