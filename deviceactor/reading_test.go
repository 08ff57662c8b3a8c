package deviceactor

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// What a message calls for, by its shape alone.
// Spec: 5.direct-message.1 5.protocol-message.1 5.protocol-message.4
func TestMessageIsReadByItsShape(t *testing.T) {
	dh := wire.Part{DH: &wire.DHHeader{}}
	dr := wire.Part{DR: &wire.DRHeader{}}
	x3 := wire.Part{DR: &wire.DRHeader{}, X3DH: &wire.X3DHHeader{SignedPreKey: wire.PublicKey{3, 3}}}
	to := func(recipient string, p wire.Part) wire.Entry { return wire.Entry{Recipient: recipient, Part: p} }
	for _, test := range []struct {
		name    string
		entries []wire.Entry
		public  bool
		chat    string
		want    kind
		err     error
	}{
		{"nothing but bundles", nil, false, "", empty, nil},
		{"for this one", []wire.Entry{to("this", dr)}, false, "", ratchets, nil},
		{"the start of a session", []wire.Entry{to("this", x3)}, false, "", ratchets, nil},
		{"for this one and another", []wire.Entry{to("other", dh), to("this", dr)}, false, "", ratchets, nil},
		{"for everybody", []wire.Entry{to(wire.NoInstallation, dh)}, false, "", dhOnly, nil},
		{"for everybody and this one", []wire.Entry{to(wire.NoInstallation, dh), to("this", dr)}, false, "", ratchets, nil},
		{"DH-only for this one", []wire.Entry{to("this", dh)}, false, "", dhOnly, nil},
		{"with both headers", []wire.Entry{to("this", wire.Part{DH: dh.DH, DR: dr.DR})}, false, "", ratchets, nil},
		{"without a header", []wire.Entry{to("this", wire.Part{})}, false, "", ratchets, nil},
		{"for another one", []wire.Entry{to("other", dr)}, false, "", 0, ErrNotTargeted},
		{"of the hash ratchet", []wire.Entry{to("this", wire.Part{HashRatchet: true, DR: dr.DR})}, false, "", 0, ErrUnsupported},
		{"public in a chat", nil, true, "c", public, nil},
		{"public in no chat", nil, true, "", 0, ErrUnsupported},
		{"public with entries", []wire.Entry{to("this", dr)}, true, "c", 0, ErrUnsupported},
		{"encrypted in a chat", []wire.Entry{to("this", dr)}, false, "c", 0, ErrUnsupported},
		{"encrypted for another in a chat", []wire.Entry{to("other", dr)}, false, "c", 0, ErrUnsupported},
		{"nothing in a chat", nil, false, "c", 0, ErrUnsupported},
	} {
		c := Contact{Identity: peer}
		m := &wire.Message{InstallationID: "a", Entries: test.entries, HasPublic: test.public}
		r, err := c.Read(here, m, test.chat, func(*wire.Bundle) error { panic("no bundle") })
		if !errors.Is(err, test.err) || err == nil && (r.kind != test.want || r.Message != m || r.Chat != test.chat) {
			t.Errorf("%s: kind %d, %v, want %d, %v", test.name, r.kind, err, test.want, test.err)
		}
		if r.InSession() != (err == nil && test.want == ratchets) {
			t.Errorf("%s: in a session %v", test.name, r.InSession())
		}
		key, ok := r.PreKey()
		if initial := test.name == "the start of a session"; ok != initial || ok && key != (x3dh.PreKeyPublic{3, 3}) {
			t.Errorf("%s: prekey %x, %v", test.name, key, ok)
		}
	}
}

// Which bundle of a message is looked at, and what its faults do to the rest.
// T29
func TestOnlyTheSendersBundleIsBelieved(t *testing.T) {
	theirs, others := *bundleOf(5, signed("a", 1, 1)), *bundleOf(6, signed("a", 2, 2))
	theirs.Identity, others.Identity = wire.PublicKey(peer), wire.PublicKey(here.Own)
	entries := []wire.Entry{{Recipient: "this", Part: wire.Part{DR: &wire.DRHeader{}}}}
	for _, test := range []struct {
		name     string
		bundles  []wire.Bundle
		entries  []wire.Entry
		verdict  error
		verified int
		kept     bool // the message keeps its bundles
		err      error
	}{
		{"none", nil, entries, nil, 0, true, nil},
		{"the sender's", []wire.Bundle{theirs}, entries, nil, 1, true, nil},
		{"somebody else's", []wire.Bundle{others}, entries, nil, 0, true, nil},
		{"somebody else's and the sender's twice", []wire.Bundle{others, theirs, theirs}, entries, nil, 1, true, nil},
		{"a forged one", []wire.Bundle{theirs}, entries, x3dh.ErrBundleSignature, 1, false, x3dh.ErrBundleSignature},
		{"one of the future", []wire.Bundle{theirs}, entries, x3dh.ErrBundleTimestamp, 1, false, nil},
		{"an ambiguous one", []wire.Bundle{theirs}, entries, x3dh.ErrBundleAmbiguous, 1, false, nil},
		{"one of the future and nothing else", []wire.Bundle{theirs}, nil, x3dh.ErrBundleTimestamp, 1, false, x3dh.ErrBundleTimestamp},
	} {
		verified := 0
		c := Contact{Identity: peer}
		m := &wire.Message{InstallationID: "a", Bundles: test.bundles, Entries: test.entries}
		r, err := c.Read(here, m, "", func(b *wire.Bundle) error {
			if b.Identity != wire.PublicKey(peer) {
				t.Errorf("%s: verified a bundle of %x", test.name, b.Identity)
			}
			verified++
			return test.verdict
		})
		if !errors.Is(err, test.err) || verified != test.verified {
			t.Errorf("%s: %v, verified %d times", test.name, err, verified)
		}
		if err == nil && (len(r.Message.Bundles) == len(test.bundles)) != test.kept {
			t.Errorf("%s: %d bundles left", test.name, len(r.Message.Bundles))
		}
		if len(m.Bundles) != len(test.bundles) {
			t.Errorf("%s: the message itself was changed", test.name)
		}
	}
}

// What a session is told, and which messages reach none.
// T18
func TestSessionsHearOnlyOfWhatTheyCouldRead(t *testing.T) {
	known := Contact{Identity: peer}.put(Installation{ID: "a", Entry: entry(100, 1, 1), Signed: 90})
	full := Contact{Identity: peer}
	for i := range maxInstallations {
		full = full.put(Installation{ID: fmt.Sprintf("%03d", i)})
	}
	initial := wire.Part{DR: &wire.DRHeader{}, X3DH: &wire.X3DHHeader{}}
	later := wire.Part{DR: &wire.DRHeader{}}
	ours := &sessionactor.OwnPreKey{Newer: []x3dh.PreKeyPublic{{9}}}
	bundle := *bundleOf(200, signed("a", 2, 2))
	bundle.Identity = wire.PublicKey(peer)
	foreign := bundle
	foreign.Identity = wire.PublicKey(here.Own)
	without := *bundleOf(200, signed("b", 2, 2))
	without.Identity = wire.PublicKey(peer)
	for _, test := range []struct {
		name    string
		c       Contact
		sender  string
		part    wire.Part
		prekey  *sessionactor.OwnPreKey
		bundles []wire.Bundle
		want    sessionactor.Incoming
		err     error
	}{
		{"known", known, "a", later, nil, nil, sessionactor.Incoming{Entry: entry(100, 1, 1), Heard: 90}, nil},
		{"known, with a newer bundle", known, "a", initial, ours, []wire.Bundle{bundle}, sessionactor.Incoming{Entry: entry(200, 2, 2), Sent: entry(200, 2, 2), Heard: 90}, nil},
		{"known, with somebody else's bundle", known, "a", later, nil, []wire.Bundle{foreign}, sessionactor.Incoming{Entry: entry(100, 1, 1), Heard: 90}, nil},
		{"known, with a bundle that leaves it out", known, "a", later, nil, []wire.Bundle{without}, sessionactor.Incoming{Entry: entry(100, 1, 1), Heard: 90}, nil},
		{"unknown, starting a session", known, "b", initial, ours, nil, sessionactor.Incoming{}, nil},
		{"unknown, in a session", known, "b", later, nil, nil, sessionactor.Incoming{}, sessionactor.ErrNoSession},
		{"unknown, on a prekey that is gone", known, "b", initial, nil, nil, sessionactor.Incoming{}, sessionactor.ErrUnknownPreKey},
		{"known, on a prekey that is gone", known, "a", initial, nil, nil, sessionactor.Incoming{Entry: entry(100, 1, 1), Heard: 90}, nil},
		{"one too many", full, "b", initial, ours, nil, sessionactor.Incoming{}, ErrTooManyInstallations},
		{"not too many", full, "003", initial, ours, nil, sessionactor.Incoming{}, nil},
		{"of nobody", known, "", initial, ours, nil, sessionactor.Incoming{}, sessionactor.ErrHeader},
	} {
		r := Reading{Message: &wire.Message{InstallationID: test.sender, Bundles: test.bundles}, kind: ratchets, part: &test.part}
		in, err := test.c.Incoming(here, r, test.prekey, noon)
		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", test.name, err, test.err)
		}
		if err == nil && (in.Entry != test.want.Entry || in.Sent != test.want.Sent || in.Heard != test.want.Heard || in.PreKey != test.prekey || in.Part.DR == nil) {
			t.Errorf("%s: %+v", test.name, in)
		}
	}
}

// T40: what comes outside of a session from a contact that has one is marked and
// raises an alarm; an empty one carries only keys and is the answer of a device
// that was left out.
// Spec: 5.payload.3
func TestMessageWithoutForwardSecrecyRaisesAnAlarm(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	before := w.hostDevice(alice.key, "alice") // as it was before it knew Bob
	downgraded := func(payload string) *wire.Message {
		m := before.send(bob, payload)
		m.Bundles = nil // they would contradict those of the other one
		return m
	}
	bob.receive(alice, downgraded("request"))
	if got := bob.alarms(alice); len(got) != 0 || bob.last().ForwardSecrecy {
		t.Errorf("before any session: alarms %v", got)
	}
	talk(alice, bob)
	bob.receive(alice, downgraded("in the clear of it"))
	got := bob.alarms(alice)
	if len(got) != 1 || !errors.Is(got[0], ErrDowngrade) {
		t.Errorf("alarms %v", got)
	}
	if m := bob.last(); m.ForwardSecrecy || string(m.Payload) != "in the clear of it" {
		t.Errorf("received %+v", m)
	}
	if alarm := reported[Alarm](bob)[0]; alarm.Installation != "alice" || alarm.Identity != alice.key.Public() {
		t.Errorf("the alarm is about %+v", alarm)
	}
	encoded, err := Advertisement(alice.view(), bob.key.Public(), alice.ownBundle(), alice.random)
	if err != nil {
		t.Fatal(err)
	}
	advertisement, err := wire.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	bob.receive(alice, advertisement)
	if got := bob.alarms(alice); len(got) != 1 {
		t.Errorf("an empty answer raised %v", got)
	}
	if c := bob.known(alice); !c.ForwardSecrecy {
		t.Error("forward secrecy is lost with the contact")
	}
}

// T36: of all claims of who sent a message to whom only the true one is believed.
// All devices have the same id, so nothing but the identities tells them apart.
// Spec: 5.authenticity.1 5.x3dh-header.3 5.security-considerations.3
// Spec: draft.destination-validation.1 5.confidentiality.1
func TestMessageIsReadFromItsSenderByItsRecipientAlone(t *testing.T) {
	w := newWorld(t)
	var all []*node
	for _, name := range []string{"alice", "bob", "carol"} {
		all = append(all, w.hostDevice(w.newKey(name), "device"))
	}
	type claim struct{ claimed, sender, recipient, at *node }
	for _, established := range []bool{false, true} {
		sent := make(map[[2]*node]*wire.Message)
		for _, sender := range all {
			for _, recipient := range all {
				if sender == recipient {
					continue
				}
				if !established {
					sender.meets(recipient)
				}
				sent[[2]*node{sender, recipient}] = sender.send(recipient, "secret")
			}
		}
		var good []claim
		for _, claimed := range all {
			for pair, m := range sent {
				for _, at := range all {
					c := claim{claimed, pair[0], pair[1], at}
					if c.claimed == c.sender && c.at == c.recipient {
						good = append(good, c)
						continue
					}
					at.settle(claimed)
					before, delivered := at.disk.hash(t), len(at.received())
					if err := at.tryReceive(claimed, copyOf(t, m)); err == nil || Unhandled(err) {
						t.Errorf("established %v, claimed of %p, from %p to %p, at %p: %v", established, claimed, c.sender, c.recipient, at, err)
					}
					if at.disk.hash(t) != before || len(at.received()) != delivered {
						t.Errorf("established %v, claimed of %p, from %p to %p, at %p: it has left something", established, claimed, c.sender, c.recipient, at)
					}
				}
			}
		}
		for _, n := range all {
			n.unasked(all...)
		}
		if len(good) != 6 {
			t.Fatalf("%d true claims", len(good))
		}
		for _, c := range good {
			c.at.receive(c.claimed, sent[[2]*node{c.sender, c.recipient}])
			if m := c.at.last(); string(m.Payload) != "secret" || m.Sender != c.sender.key.Public() || !m.ForwardSecrecy {
				t.Errorf("received %+v", m)
			}
		}
	}
}

// T36: a DH-only message can be opened by its recipient alone. Who sent it is
// known from the envelope, and from nothing in the message: so it is marked.
func TestDHOnlyMessageIsForItsRecipientAlone(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.host("alice"), w.host("bob"), w.host("carol")
	m := alice.send(bob, "request")
	refusals{t, carol, alice}.check("at another identity", m, x3dh.ErrDecrypt)
	bob.receive(carol, m)
	if got := bob.last(); got.ForwardSecrecy || got.Sender != carol.key.Public() {
		t.Errorf("received %+v", got)
	}
	if c := bob.known(carol); len(c.Installations) != 0 {
		t.Errorf("alice's device is taken for carol's: %s", ids(c.Installations))
	}
}

// T42: two copies of one installation go on from the same state: the second of
// two messages with one number is refused, and the user hears of it.
func TestClonedInstallationRaisesAnAlarm(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	bob.receive(alice, alice.send(bob, "zero")) // the clone goes on in the same chain
	clone := w.hostDevice(alice.key, "alice")
	var records []persistence.Record
	err := alice.disk.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		if name.Kind() != persistence.KindFence {
			records = append(records, persistence.Record{Name: name, Value: bytes.Clone(value)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := clone.disk.Store.Apply(t.Context(), persistence.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
	one, two := alice.send(bob, "one"), clone.send(bob, "two")
	if one.Entries[0].Part.DR.N != two.Entries[0].Part.DR.N {
		t.Fatal("the clone does not go on from the same state")
	}
	bob.receive(alice, one)
	before := bob.disk.hash(t)
	if err := bob.tryReceive(alice, two); !errors.Is(err, sessionactor.ErrCloned) {
		t.Errorf("got %v", err)
	}
	if alarms := bob.alarms(alice); len(alarms) != 1 || !errors.Is(alarms[0], sessionactor.ErrCloned) {
		t.Errorf("alarms %v", alarms)
	}
	if bob.disk.hash(t) != before {
		t.Error("the store has changed")
	}
}

// A bundle with as many installations as the wire can name, by hand and in a
// message: as many are believed as the rules say, and stored once.
// T22, T33
func TestBundleOfVeryManyInstallationsIsBounded(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	random := seeded("many")
	many := wire.Bundle{Timestamp: noon}
	for i := range wire.MaxPreKeys {
		key, err := x3dh.GeneratePreKey(random)
		if err != nil {
			t.Fatal(err)
		}
		many.PreKeys = append(many.PreKeys, wire.SignedPreKey{
			InstallationID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Key: wire.PublicKey(key.Public()), Version: 1, ProtocolVersion: 1,
		})
	}
	for i := range 3 {
		many.Timestamp = noon + int64(i)
		if err := x3dh.SignBundle(alice.key, &many); err != nil {
			t.Fatal(err)
		}
		var err error
		if i == 0 {
			err = bob.tryTake(alice, many)
		} else {
			err = bob.hears(alice, "", &wire.Message{InstallationID: "alice", Bundles: []wire.Bundle{many}})
		}
		if err != nil {
			t.Fatal(err)
		}
		if c := bob.known(alice); len(c.Installations) != maxNewInstallations {
			t.Errorf("%d installations", len(c.Installations))
		}
		if n := bob.stored(alice); n != maxNewInstallations {
			t.Errorf("%d stored", n)
		}
	}
	alarms := bob.alarms(alice)
	if len(alarms) != 3 || len(reported[InstallationDiscovered](bob)) != maxNewInstallations {
		t.Errorf("%d alarms, %d discovered", len(alarms), len(reported[InstallationDiscovered](bob)))
	}
	for _, err := range alarms {
		if !errors.Is(err, ErrIgnored) {
			t.Errorf("alarm %v", err)
		}
	}
	w.now.Add(int64(24 * time.Hour))
	if err := bob.tryTake(alice, many); err != nil {
		t.Fatal(err)
	}
	if c := bob.known(alice); len(c.Installations) != 2*maxNewInstallations {
		t.Errorf("%d installations the day after", len(c.Installations))
	}
}

// Only what an installation sends to us in person is a sign of its life, and only
// a session makes one known.
// T33
func TestActivityComesFromMessagesToUs(t *testing.T) {
	part := wire.Part{DH: &wire.DHHeader{Ephemeral: wire.PublicKey{2, 5}}, Payload: []byte("c")}
	for _, test := range []struct {
		kind   kind
		sender string
		active int64
		known  string
	}{
		{empty, "a", 0, "[a]"},
		{public, "a", 0, "[a]"},
		{dhOnly, "a", noon, "[a]"},
		{ratchets, "a", noon, "[a]"},
		{empty, "b", 0, "[a]"},
		{public, "b", 0, "[a]"},
		{dhOnly, "b", 0, "[a]"},
		{ratchets, "b", 0, "[a b]"},
	} {
		c := Contact{Identity: peer}.put(Installation{ID: "a", Enabled: true, Entry: entry(100, 1, 1)})
		r := Reading{Message: &wire.Message{InstallationID: test.sender}, kind: test.kind, part: &part}
		c, _, err := c.Receive(here, r, []byte("x"), noon)
		if in, _ := c.Find("a"); err != nil || in.Active != test.active || ids(c.Installations) != test.known {
			t.Errorf("kind %d of %s: active %d, known %s, %v", test.kind, test.sender, in.Active, ids(c.Installations), err)
		}
	}
}

// A message is remembered by what it says, and a replay is refused before it
// changes anything.
func TestReplayedStepChangesNothing(t *testing.T) {
	part := wire.Part{DH: &wire.DHHeader{Ephemeral: wire.PublicKey{2, 5}}, Payload: []byte("c")}
	r := Reading{Message: &wire.Message{InstallationID: "a"}, kind: dhOnly, part: &part}
	c, _, err := Contact{Identity: peer}.Receive(here, r, []byte("x"), noon)
	if err != nil || len(c.Seen) != 1 || c.Seen[0] != sha256.Sum256(append(make([]byte, 0, 40), append(append([]byte{}, part.DH.Ephemeral[1:]...), 'c')...)) {
		t.Fatalf("%+v, %v", c, err)
	}
	before := fmt.Sprintf("%+v", c)
	again, e, err := c.Receive(here, r, []byte("x"), noon+1)
	if !errors.Is(err, ErrReplayed) || fmt.Sprintf("%+v", again) != before || e.Contact || len(e.Events)+len(e.Installations) != 0 {
		t.Errorf("%+v, %+v, %v", again, e, err)
	}
}
