package sessionactor

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

func limits() ratchet.Limits { return ratchet.DeployedLimits() }

// T27: replayed, the first message is refused, whatever became of its session
// and of the prekey in the meantime.
// Spec: 5.security-considerations.1
func TestInitialMessageOfAKnownSessionNeverResets(t *testing.T) {
	for _, test := range []struct {
		name  string
		since func(t *testing.T, alice, bob *side)
	}{
		{"at once", func(*testing.T, *side, *side) {}},
		{"in a conversation", func(t *testing.T, alice, bob *side) { converse(t, alice, bob, 20) }},
		{"session expired", func(t *testing.T, alice, bob *side) {
			converse(t, alice, bob, 20)
			alice.rotate(t, 30)
			bob.peer = alice.entry()
			alice.receive(t, bob.send(t, "new", 31), 32)
		}},
		{"after a restart", func(t *testing.T, _, bob *side) {
			stored := newShelf()
			stored.put(t, bob, Change{Put: bob.sessions.all(), Active: bob.sessions.Active})
			bob.sessions = stored.load(t, bob)
		}},
		{"prekey destroyed", func(_ *testing.T, _, bob *side) { bob.prekeys = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			alice, bob := newPair(t, t.Name())
			first := alice.send(t, "first", 10)
			bob.receive(t, first, 11)
			test.since(t, alice, bob)
			rotated := len(bob.prekeys) == 0
			if rotated {
				bob.refuseReplay(t, first)
				return
			}
			if err := bob.refuse(t, first, 40); !errors.Is(err, ratchet.ErrMessageKeyGone) && !errors.Is(err, ratchet.ErrUnknownRatchetKey) && !errors.Is(err, ratchet.ErrMAC) {
				t.Errorf("got %v", err)
			}
			bob.receive(t, alice.send(t, "goes on", 41), 42)
		})
	}
}

// refuseReplay is refuse for a device that has no prekey to make an entry of.
func (s *side) refuseReplay(t *testing.T, p packet) {
	t.Helper()
	before := fingerprint(s.sessions)
	_, _, _, err := s.sessions.Decrypt(&s.key, s.ends, Incoming{Part: &p.part, Entry: p.entry}, limits(), 50)
	if !errors.Is(err, ratchet.ErrMessageKeyGone) || fingerprint(s.sessions) != before {
		t.Errorf("got %v", err)
	}
}

// Spec: 5.initialization.1
func TestInitialMessageBecomesActiveWhereNoneIs(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	bob.receive(t, alice.send(t, "x", 10), 11)
	s := bob.active(t)
	if s.Status != Established || s.Initiator || s.MadeFrom != alice.entry() || s.Created != 11 {
		t.Errorf("got %+v", s)
	}
}

// The parity byte of the ephemeral key is not authenticated and changes no key.
func TestParityFlippedEphemeralIsTheSameSession(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	first, second := alice.send(t, "1", 10), alice.send(t, "2", 10)
	bob.receive(t, first, 11)
	for _, p := range []packet{first, second} {
		header := *p.part.X3DH
		header.Ephemeral[0] ^= 1
		flipped := p
		flipped.part.X3DH = &header
		if p.payload == "1" {
			_ = bob.refuse(t, flipped, 12)
		} else {
			bob.receive(t, flipped, 12)
		}
	}
	if len(bob.sessions.List) != 1 {
		t.Errorf("%d sessions", len(bob.sessions.List))
	}
}

// T28: what an initial message would start is there only if it decrypts.
// Spec: 5.initialization.1 5.x3dh-header.2
func TestForgedInitialMessageLeavesNoSession(t *testing.T) {
	for _, test := range []struct {
		name  string
		forge func(*wire.Part)
		want  error
	}{
		{"altered ciphertext", func(p *wire.Part) { p.Payload[20] ^= 1 }, ratchet.ErrMAC},
		{"altered MAC", func(p *wire.Part) { p.Payload[len(p.Payload)-1] ^= 1 }, ratchet.ErrMAC},
		{"cut short", func(p *wire.Part) { p.Payload = p.Payload[:20] }, ratchet.ErrCiphertext},
		{"empty", func(p *wire.Part) { p.Payload = nil }, ratchet.ErrCiphertext},
		{"another number", func(p *wire.Part) { p.DR.N++ }, ratchet.ErrMAC},
		{"another previous number", func(p *wire.Part) { p.DR.PN++ }, ratchet.ErrMAC},
		{"gap over the limit", func(p *wire.Part) { p.DR.N = 5000 }, ratchet.ErrTooManySkipped},
		{"ephemeral key not on the curve", func(p *wire.Part) { p.X3DH.Ephemeral = wire.PublicKey{2, 32: 5} }, x3dh.ErrKey},
		{"another ephemeral key", func(p *wire.Part) { p.X3DH.Ephemeral = p.X3DH.SignedPreKey }, ratchet.ErrMAC},
		{"ratchet key of no length", func(p *wire.Part) { p.DR.RatchetKey = []byte{2} }, ratchet.ErrHeader},
		{"two signed prekeys", func(p *wire.Part) { p.DR.SignedPreKey = p.X3DH.Ephemeral }, ErrHeader},
		{"no ratchet header", func(p *wire.Part) { p.DR = nil }, ErrHeader},
		{"prekey that is not ours", func(p *wire.Part) {
			p.DR.SignedPreKey, p.X3DH.SignedPreKey = p.X3DH.Ephemeral, p.X3DH.Ephemeral
		}, ErrUnknownPreKey},
		{"X3DH header taken away", func(p *wire.Part) { p.X3DH = nil }, ErrNoSession},
	} {
		t.Run(test.name, func(t *testing.T) {
			alice, bob := newPair(t, t.Name())
			first := alice.send(t, "real", 10)
			if err := bob.refuse(t, first.altered(test.forge), 11); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if len(bob.sessions.List) != 0 {
				t.Errorf("%d sessions", len(bob.sessions.List))
			}
			bob.receive(t, first, 12)
		})
	}
}

// altered is the packet with a changed part; the packet itself stays.
func (p packet) altered(change func(*wire.Part)) packet {
	if p.part.X3DH != nil {
		header := *p.part.X3DH
		p.part.X3DH = &header
	}
	if p.part.DR != nil {
		header := *p.part.DR
		p.part.DR = &header
	}
	p.part.Payload = bytes.Clone(p.part.Payload)
	change(&p.part)
	return p
}

// T28: a header that is put before a later message confirms and starts nothing.
func TestX3DHHeaderBeforeALaterMessageChangesNothing(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	stranger, _ := newPair(t, "stranger")
	stranger.peer = bob.entry()
	header := stranger.send(t, "x", 11).part.X3DH
	p := alice.send(t, "real", 12)
	err := bob.refuse(t, p.altered(func(part *wire.Part) { part.X3DH = header }), 13)
	if !errors.Is(err, ratchet.ErrMAC) {
		t.Errorf("got %v", err)
	}
	bob.receive(t, p, 14)
}

// Spec: draft.expired-session.1 draft.expired-session.2 draft.expired-session.3
func TestExpiredSessionDecryptsAndIsNotUsedAgain(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	old := bob.active(t).ID
	late := alice.send(t, "late", 11)
	bob.rotate(t, 20)
	p := packet{bob.send(t, "rotated", 20).part, bob.entry(), "rotated"}
	alice.receive(t, p, 21)
	bob.receive(t, alice.send(t, "new session", 22), 23)
	fresh := bob.active(t).ID
	if fresh == old {
		t.Fatal("no new session")
	}
	bob.receive(t, late, 500)
	if bob.active(t).ID != fresh {
		t.Error("the expired session is used again")
	}
	if s := bob.sessions.List[bob.sessions.find(old)]; s.Status != Expired || s.ExpiredAt != 500 {
		t.Errorf("the old session is %v since %d; its time runs from its last message", s.Status, s.ExpiredAt)
	}
}

// A message without X3DH header names only the prekey.
// Spec: 5.dr-header.5
func TestMessageWithoutX3DHHeaderFindsItsSession(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	var sides []*side
	// Alice loses her state again and again: many sessions on one prekey.
	for range maxTrials - 1 {
		alice.sessions = Sessions{}
		alice.signed++
		converse(t, alice, bob, 10)
		again := *alice
		sides = append(sides, &again)
	}
	for i, s := range sides {
		p := s.send(t, fmt.Sprint("on session ", i), 20)
		if p.part.X3DH != nil {
			t.Fatal("the session is not established")
		}
		bob.receive(t, packet{p.part, alice.entry(), p.payload}, 21)
	}
}

func TestTrialsOfOneMessageAreBounded(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	var sides []*side
	for range maxTrials + 2 {
		alice.sessions = Sessions{}
		alice.signed++
		bob.receive(t, alice.send(t, "start", 10), 10)
		alice.receive(t, bob.send(t, "answer", 10), 10)
		again := *alice
		sides = append(sides, &again)
	}
	// The oldest session turned its ratchet: only a trial could find it.
	oldest := sides[0].send(t, "on the oldest", 11)
	if err := bob.refuse(t, packet{oldest.part, alice.entry(), oldest.payload}, 12); err == nil {
		t.Error("accepted")
	}
	newest := sides[len(sides)-1].send(t, "on the newest", 11)
	bob.receive(t, packet{newest.part, alice.entry(), newest.payload}, 12)
}

func TestSkippedKeyFindsItsSessionAmongMany(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	late := alice.send(t, "late", 11)
	bob.receive(t, alice.send(t, "sooner", 11), 11)
	for range maxTrials + 2 {
		alice.sessions = Sessions{}
		alice.signed++
		bob.receive(t, alice.send(t, "start", 12), 12)
	}
	bob.receive(t, packet{late.part, alice.entry(), late.payload}, 13)
}

// T43: sessions are bounded; the oldest one that is not in use goes, with its
// skipped keys.
func TestOldestSessionMakesRoom(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	skip := func() {
		_ = alice.send(t, "lost", 10)
		bob.receive(t, alice.send(t, "arrives", 10), 10)
	}
	skip()
	oldest := bob.active(t).ID
	stored := newShelf()
	for _, ref := range bob.sessions.Skipped[oldest].Refs() {
		stored.values[bob.place().skippedKey(oldest, ref)] = nil
	}
	if len(stored.values) != 1 {
		t.Fatalf("%d skipped keys", len(stored.values))
	}
	for i := range maxSessions + 3 {
		alice.sessions = Sessions{}
		alice.signed++
		p := alice.send(t, "start", int64(20+i))
		in := bob.incoming(p)
		next, change, _, err := bob.sessions.Decrypt(&bob.key, bob.ends, in, limits(), int64(20+i))
		if err != nil {
			t.Fatal(err)
		}
		records := bob.place().Records(change, &bob.sessions)
		stored.apply(records)
		bob.advance(t, next, change)
		bob.peer = in.Entry
		bob.only(t)
		if n := bob.sessions.live(); n > maxSessions {
			t.Fatalf("%d sessions", n)
		}
	}
	if i := bob.sessions.find(oldest); bob.sessions.List[i].Status != Forgotten || bob.sessions.Skipped[oldest] != nil {
		t.Error("the oldest session or its keys are still there")
	}
	if got := stored.load(t, bob); fingerprint(got) != fingerprint(bob.sessions) {
		t.Error("the store holds other sessions than the memory")
	}
	for name := range stored.values {
		if strings.HasPrefix(string(name), string(bob.place().skippedKeys(oldest))) {
			t.Error("the store holds a key of the oldest session")
		}
	}
	bob.receive(t, alice.send(t, "goes on", 100), 100)
}

// The session in use is not the one that makes room for its successor, even if
// it is the oldest: the peer may still send on it.
func TestSessionThatGivesWayStays(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	converse(t, alice, bob, 10)
	inUse := bob.active(t)
	for i := range maxSessions - 1 {
		other, origin := inUse, *inUse.Origin
		origin.ID, origin.Ephemeral = ID{byte(i + 1)}, x3dh.EphemeralPublic{2, byte(i + 1)}
		other.Origin, other.Status = &origin, Expired
		bob.sessions.List = append(bob.sessions.List, &other)
	}
	late := alice.send(t, "late", 11)
	bob.rotate(t, 20)
	alice.peer = bob.entry()
	bob.receive(t, alice.send(t, "new session", 21), 22)
	bob.only(t)
	if n := bob.sessions.live(); n != maxSessions || bob.active(t).ID == inUse.ID || bob.sessions.List[0].Status != Expired {
		t.Errorf("%d sessions; the one that was in use is %v", n, bob.sessions.List[0].Status)
	}
	bob.receive(t, late, 23)
}
