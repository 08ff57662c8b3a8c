package sessionactor

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/ratchet"
)

// reserve takes the step, after checking that it changes nothing it is called on.
func (s *side) reserve(tb testing.TB, size uint32, now int64) Reservation {
	tb.Helper()
	before := fingerprint(s.sessions)
	next, change, r, err := s.sessions.Reserve(&s.key, s.ends, s.outgoing(""), size, now, s.rand)
	if err != nil {
		tb.Fatalf("reserve: %v", err)
	}
	if fingerprint(s.sessions) != before {
		tb.Fatal("reserving changed the sessions that it was called on")
	}
	s.advance(tb, next, change)
	return r
}

// sendIn makes the next packet of a reservation.
func (s *side) sendIn(tb testing.TB, r Reservation, payload string) packet {
	tb.Helper()
	m, err := r.Block.Encrypt([]byte(payload), nil, ratchet.RandomIV, s.rand)
	if err != nil {
		tb.Fatal(err)
	}
	part := r.Part
	header := *part.DR
	header.N, part.DR, part.Payload = m.Header.N, &header, m.Ciphertext
	return packet{part, s.entry(), payload}
}

// Messages of a reservation are read like those of Send: the first starts the
// session, each carries the X3DH header while nobody has answered, and the order
// of arrival does not matter.
func TestReservationStartsASessionAndKeepsItsHeader(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	r := alice.reserve(t, 4, 10)
	if s := alice.active(t); s.Status != Initiated || s.ID != r.Session || s.Ratchet.Send.N != 4 {
		t.Fatalf("got %+v", s)
	}
	first := alice.sendIn(t, r, "1")
	second := alice.sendIn(t, r, "2")
	third := alice.send(t, "3", 11)
	for _, p := range []packet{first, second, third} {
		if p.part.X3DH == nil || *p.part.X3DH != *first.part.X3DH {
			t.Errorf("%q carries %v", p.payload, p.part.X3DH)
		}
	}
	bob.receive(t, third, 20)
	bob.receive(t, second, 21)
	bob.receive(t, first, 22)
	alice.receive(t, bob.send(t, "answer", 23), 24)
	late := alice.sendIn(t, r, "of the old chain")
	bob.receive(t, late, 25) // known to bob, header or not
	turned := alice.reserve(t, 2, 26)
	p := alice.sendIn(t, turned, "of the new chain")
	if p.part.X3DH != nil || string(p.part.DR.RatchetKey) == string(late.part.DR.RatchetKey) {
		t.Error("after the answer the reservation goes on as before")
	}
	bob.receive(t, p, 27)
	alice.only(t)
	bob.only(t)
}

// T06: whoever goes on from what was stored with a reservation, as after a crash
// in the middle of it, uses none of its numbers.
func TestStoredStateIsPastTheReservation(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	r := alice.reserve(t, 8, 20)
	stored := newShelf()
	stored.put(t, alice, Change{Put: alice.sessions.all(), Active: alice.sessions.Active})
	last := alice.sendIn(t, r, "before the crash")
	alice.sessions = stored.load(t, alice)
	p := alice.send(t, "after the crash", 21)
	if p.part.DR.N != 8 || string(p.part.DR.RatchetKey) != string(last.part.DR.RatchetKey) {
		t.Errorf("goes on with number %d", p.part.DR.N)
	}
	bob.receive(t, p, 22)
	bob.receive(t, last, 23)
}

// A session that is replaced or expires while it is reserved on decrypts what was
// made on it, and the next reservation is on the one in use.
func TestReservationOnAReplacedSession(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	old := alice.reserve(t, 4, 20)
	bob.rotate(t, 30)
	alice.peer = bob.entry()
	fresh := alice.reserve(t, 4, 31)
	if fresh.Session == old.Session || fresh.Part.X3DH == nil || alice.active(t).ID != fresh.Session {
		t.Fatal("the newer bundle of the peer starts no session")
	}
	bob.receive(t, alice.sendIn(t, fresh, "new"), 32)
	bob.receive(t, alice.sendIn(t, old, "old"), 33)
	alice.only(t)
	bob.only(t)
}

func TestReservationIsRefusedAsSendingIs(t *testing.T) {
	alice, _ := newPair(t, t.Name())
	before := fingerprint(alice.sessions)
	for _, test := range []struct {
		name string
		out  Outgoing
		now  int64
		size uint32
		want error
	}{
		{"no prekey", Outgoing{Own: alice.entry()}, 10, 4, ErrNoPreKey},
		{"stale prekey", alice.outgoing(""), 1 + preKeyLife, 4, ErrStalePreKey},
		{"no numbers", alice.outgoing(""), 10, 0, ratchet.ErrChainExhausted},
	} {
		_, change, r, err := alice.sessions.Reserve(&alice.key, alice.ends, test.out, test.size, test.now, alice.rand)
		if !errors.Is(err, test.want) || r.Block != nil || len(change.Put) != 0 {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if fingerprint(alice.sessions) != before {
		t.Error("a refusal changed the sessions")
	}
}

// The actor's next message comes after the reservation, also when it restarts
// before anything of it is stored.
func TestActorReserves(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	h := host(t, alice)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reserved, err := actors.Ask(ctx, h.ref, func(r actors.Reply[Reserved]) any {
		return Reserve{Reply: r, Size: 5, Entry: alice.peer, Own: alice.entry(), Now: 10}
	})
	if err != nil || !reserved.Started || len(reserved.Records) != 1 {
		t.Fatalf("started %v, %d records, %v", reserved.Started, len(reserved.Records), err)
	}
	for range 2 {
		e := h.mustEncrypt(t, "x")
		if e.Part.DR.N < 5 {
			t.Errorf("number %d after a reservation of 5", e.Part.DR.N)
		}
		h.random.panics.Store(true)
		if _, err := h.encrypt(t, "panics"); err == nil {
			t.Fatal("no panic")
		}
	}
	for i := range 5 {
		bob.receive(t, alice.sendIn(t, reserved.Reservation, fmt.Sprint(i)), 20)
	}
}
