package deviceactor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// here is the hosted installation of the tests of the pure rules.
var here = View{Own: x3dh.IdentityPublicKey{2, 7}, Installation: "this", MaxInstallations: 3}

// ours is the contact that stands for our own other installations.
var ours = Contact{Identity: here.Own}

// ids are the ids of installations, in their order.
func ids(list []Installation) string {
	out := make([]string, 0, len(list))
	for i := range list {
		out = append(out, list[i].ID)
	}
	return fmt.Sprint(out)
}

func TestStepsLeaveTheContactAsItWas(t *testing.T) {
	c, _ := Contact{}.TakeBundle(here, bundleOf(100, signed("a", 1, 1)), "a", 1)
	c, err := c.remember([sha256.Size]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%+v", c)
	r := Reading{Message: &wire.Message{InstallationID: "a", Bundles: []wire.Bundle{*bundleOf(200, signed("b", 1, 2))}}, kind: ratchets}
	for name, step := range map[string]func() error{
		"TakeBundle": func() error {
			c.TakeBundle(here, bundleOf(200, signed("a", 2, 2), signed("b", 1, 3)), "a", 2)
			return nil
		},
		"omission":         func() error { c.TakeBundle(here, bundleOf(200, signed("b", 1, 3)), "b", 2); return nil },
		"heard":            func() error { c.heard(here, "a", 3); return nil },
		"heard of a new":   func() error { c.heard(here, "new", 3); return nil },
		"Enable":           func() error { _, _, err := c.Enable(here, "a", false, 1); return err },
		"Accept":           func() error { c.Accept(3); return nil },
		"Age":              func() error { c.Age(math.MaxInt64); return nil },
		"remember":         func() error { _, err := c.remember([sha256.Size]byte{1}); return err },
		"Receive":          func() error { _, _, err := c.Receive(here, r, []byte("x"), 3); return err },
		"Draft":            func() error { _, err := c.Draft(here, []byte("x"), 3); return err },
		"a request":        func() error { c.introduce(View{Requests: Ask}); return nil },
		"put of a new one": func() error { c.put(Installation{ID: "b"}); return nil },
	} {
		if err := step(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := fmt.Sprintf("%+v", c); got != before {
			t.Fatalf("%s:\ngot  %s\nwant %s", name, got, before)
		}
	}
}

// Spec: 5.paired-group.2 54.recommendations.1
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
		v := here
		v.MaxInstallations = test.n
		if got := ids(c.Targets(v, 100)); got != test.targets {
			t.Errorf("%v, at most %d: %v, want %s", test.active, test.n, got, test.targets)
		}
	}
}

// T34: those that never spoke come after those that did, and among themselves in
// the order in which they became known.
func TestAnnouncedDevicesComeLast(t *testing.T) {
	var c Contact
	for i, in := range []Installation{
		{ID: "d", FirstSeen: 1}, {ID: "c", FirstSeen: 2}, {ID: "b", FirstSeen: 3}, {ID: "a", FirstSeen: 9, Active: 9},
	} {
		in.Enabled = true
		c = c.put(in)
		if i == 0 && len(c.Targets(here, 10)) != 1 {
			t.Fatal("the first one is no target")
		}
	}
	if got := ids(c.Targets(here, 10)); got != "[a c d]" {
		t.Errorf("got %s", got)
	}
}

// Of our own identity one installation less is written to: this one has the
// message.
func TestOwnInstallationsIncludeThisOne(t *testing.T) {
	for n, want := range []string{"[]", "[]", "[a]", "[a b]", "[a b c]"} {
		c := ours
		for _, id := range []string{"a", "b", "c", "d"} {
			c = c.put(Installation{ID: id, Enabled: true})
		}
		v := here
		v.MaxInstallations = n
		if got := ids(c.Targets(v, 1)); got != want {
			t.Errorf("at most %d: %s, want %s", n, got, want)
		}
	}
}

func TestDHOnlyMessageIsRememberedWithinItsBound(t *testing.T) {
	var c Contact
	var err error
	hash := func(i int) [sha256.Size]byte { return sha256.Sum256(fmt.Append(nil, i)) }
	for i := range maxSeen + 10 {
		if c, err = c.remember(hash(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.remember(hash(i)); !errors.Is(err, ErrReplayed) {
			t.Fatalf("message %d again: %v", i, err)
		}
	}
	if len(c.Seen) != maxSeen {
		t.Errorf("%d remembered", len(c.Seen))
	}
	if _, err := c.remember(hash(10)); !errors.Is(err, ErrReplayed) {
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

// A message has one id on all devices and over all publications; no two messages
// share one.
func TestMessageIDIsAboutSenderAndContentOnly(t *testing.T) {
	base := func() *wire.Message {
		return &wire.Message{InstallationID: "a", Entries: []wire.Entry{
			{Recipient: "b", Part: wire.Part{Payload: []byte("x"), DH: &wire.DHHeader{Ephemeral: wire.PublicKey{2}}}},
		}}
	}
	public := func() *wire.Message {
		return &wire.Message{InstallationID: "a", HasPublic: true, Public: []byte("x")}
	}
	sender := x3dh.IdentityPublicKey{2, 1}
	unchanged := func(*wire.Message) {}
	for _, test := range []struct {
		name   string
		of     func() *wire.Message
		sender x3dh.IdentityPublicKey
		chat   string
		change func(*wire.Message)
		same   bool
	}{
		{"as it was", base, sender, "", unchanged, true},
		{"another bundle", base, sender, "", func(m *wire.Message) { m.Bundles = []wire.Bundle{*bundleOf(1, signed("a", 1, 1))} }, true},
		{"another sender", base, x3dh.IdentityPublicKey{2, 2}, "", unchanged, false},
		{"another device", base, sender, "", func(m *wire.Message) { m.InstallationID = "c" }, false},
		{"another recipient", base, sender, "", func(m *wire.Message) { m.Entries[0].Recipient = "c" }, false},
		{"another ciphertext", base, sender, "", func(m *wire.Message) { m.Entries[0].Part.Payload = []byte("y") }, false},
		{"another header", base, sender, "", func(m *wire.Message) { m.Entries[0].Part.DH.Ephemeral[0] = 3 }, false},
		{"one recipient more", base, sender, "", func(m *wire.Message) { m.Entries = append(m.Entries, wire.Entry{Recipient: "d"}) }, false},
		{"one recipient fewer", base, sender, "", func(m *wire.Message) { m.Entries = nil }, false},
		{"public, as it was", public, sender, "c", unchanged, true},
		{"public, another bundle", public, sender, "c", func(m *wire.Message) { m.Bundles = []wire.Bundle{*bundleOf(1, signed("a", 1, 1))} }, true},
		{"public, another sender", public, x3dh.IdentityPublicKey{2, 2}, "c", unchanged, false},
		{"public, another payload", public, sender, "c", func(m *wire.Message) { m.Public = []byte("y") }, false},
		{"public, another chat", public, sender, "d", unchanged, false},
	} {
		id := newMessageID(sender, test.of(), map[bool]string{true: "c"}[test.chat != ""])
		m := test.of()
		test.change(m)
		if got := newMessageID(test.sender, m, test.chat) == id; got != test.same {
			t.Errorf("%s: same id %v, want %v", test.name, got, test.same)
		}
	}
}

// The topic that two identities share is used when every installation is known to
// read it, and never for a message that one of them would miss (54, Negotiated
// Topic).
func TestNegotiatedTopicNeedsAllInstallations(t *testing.T) {
	const now = int64(30 * 24 * time.Hour)
	heard := Installation{ID: "a", Enabled: true, ProtocolVersion: 1, Active: now - 1}
	named := Installation{ID: "b", Enabled: true, ProtocolVersion: 1}
	old := Installation{ID: "c", Enabled: true, Active: now - 1}
	disabled := Installation{ID: "d", ProtocolVersion: 1}
	stale := Installation{ID: "e", Enabled: true, OmittedSince: 1}
	for name, c := range map[string]struct {
		installations []Installation
		agreed        bool
	}{
		"none known":            {nil, false},
		"heard":                 {[]Installation{heard}, true},
		"only named":            {[]Installation{named}, false},
		"one of two heard":      {[]Installation{heard, named}, false},
		"without a version":     {[]Installation{heard, old}, false},
		"beside a disabled one": {[]Installation{heard, disabled}, true},
		"beside a stale one":    {[]Installation{heard, stale}, true},
		"only disabled":         {[]Installation{disabled}, false},
	} {
		contact := Contact{Installations: c.installations}
		if got := contact.Agreed(now); got != c.agreed {
			t.Errorf("%s: %v", name, got)
		}
	}
}
