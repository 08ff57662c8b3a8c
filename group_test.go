package rookery_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// Each member gets a message of its own, on its own sessions, and whoever
// cannot be reached holds up nobody.
// Spec: 5.messaging.3 draft.subgroup-messaging.1
func TestGroupMessageGoesPairwiseToEachMemberOnce(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob, carol, dave, gone := w.person(2), w.person(2), w.person(1)[0], w.person(1)[0], w.person(1)[0]
	for _, member := range []device{bob[0], carol, gone} {
		w.introduce(w.at(alice[0]), w.at(member))
	}
	if err := w.at(alice[0]).Disable(w.context(), gone.key, gone.installation); err != nil {
		t.Fatal(err)
	}
	members := []rookery.PublicKey{gone.key, bob[0].key, alice[0].key, offCurve, carol.key, bob[0].key, dave.key, carol.key}
	receipts := w.at(alice[0]).SendGroup(w.context(), members, []byte("to all"))
	order := []rookery.PublicKey{gone.key, bob[0].key, offCurve, carol.key, dave.key}
	failures := map[rookery.PublicKey]error{gone.key: cause.ErrNoTarget, offCurve: rookery.ErrPublicKey}
	if len(receipts) != len(order) {
		t.Fatalf("%d receipts, want %d", len(receipts), len(order))
	}
	ids := make(map[rookery.PublicKey]rookery.MessageID)
	for n, r := range receipts {
		if r.Member != order[n] {
			t.Errorf("receipt %d is of %v", n, r.Member)
		}
		if want := failures[r.Member]; want != nil {
			wantError(t, r.Err, want)
			continue
		}
		if r.Err != nil || r.ForwardSecrecy != (r.Member != dave.key) {
			t.Errorf("%v: %+v", r.Member, r)
		}
		ids[r.Member] = r.ID
	}
	readers := append([]device{carol, dave}, bob...)
	w.awaitMessages(1, readers...)
	for _, d := range readers {
		if m := messages(w.bag.all(), d)[0]; string(m.Payload) != "to all" || m.ID != ids[d.key] {
			t.Errorf("%s received %q, id %v", d.installation, m.Payload, m.ID)
		}
	}
	// Our own other device gets one copy for each member.
	awaitThese[rookery.SentElsewhere](w, 3, alice[1])
	for _, m := range these[rookery.SentElsewhere](w.bag.all(), alice[1]) {
		if ids[m.Recipient] != m.ID {
			t.Errorf("a copy of %v, to %v", m.ID, m.Recipient)
		}
	}
	for _, e := range w.air.history() {
		m, err := wire.Decode(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range m.Entries {
			for _, d := range bob {
				if entry.Recipient == d.installation && !between(alice[0].key, bob[0].key)(e) {
					t.Error("a part for bob is in another's message")
				}
			}
		}
	}
	w.at(alice[0]).SendGroup(w.context(), []rookery.PublicKey{carol.key}, []byte("to carol alone"))
	w.awaitMessages(2, carol)
	w.reopen()
	for _, d := range append(slices.Clone(bob), dave) {
		if n := len(messages(w.bag.all(), d)); n != 1 {
			t.Errorf("%s has %d messages", d.installation, n)
		}
	}
}

// A group may be larger than what is sent at a time.
func TestLargeGroup(t *testing.T) {
	w := newWorld(t, backends[1])
	alice := w.person(1)[0]
	if receipts := w.at(alice).SendGroup(w.context(), []rookery.PublicKey{alice.key}, []byte("x")); receipts != nil {
		t.Errorf("a group of ourselves: %+v", receipts)
	}
	var members []rookery.PublicKey
	for range 150 {
		key, err := x3dh.GenerateIdentity(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, key.Public())
	}
	before := w.engine.Counts().Sent
	for n, r := range w.at(alice).SendGroup(w.context(), members, []byte("to all")) {
		if r.Member != members[n] || r.Err != nil {
			t.Errorf("member %d: %v", n, r.Err)
		}
	}
	if n := w.engine.Counts().Sent - before; n != 150 {
		t.Errorf("%d messages were sent", n)
	}
	ended, end := context.WithCancel(w.context())
	end()
	for _, r := range w.at(alice).SendGroup(ended, members[:3], []byte("x")) {
		wantError(t, r.Err, context.Canceled)
	}
	for _, r := range w.at(alice).SendGroup(w.context(), members[:3], nil) {
		wantError(t, r.Err, rookery.ErrPayloadSize)
	}
}
