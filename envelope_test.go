package rookery_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// T19, T20, T21, T23, T38: whatever arrives is refused with a cause, and
// changes nothing of the contact and its sessions. Our bundle may go out, to
// whom that helps; who made or altered a message gains no answer by it.
// Spec: 5.authenticity.1 5.integrity.1 draft.destination-validation.1
func TestBadEnvelopesAreRefusedWithACauseAndChangeNothing(t *testing.T) {
	w, alice, bob, store := pairWorld(t)
	carol := w.person(1)[0]
	w.send(alice, bob.key, "before") // so that what is held back is not the first of its chain
	w.awaitMessages(2, bob)
	good := w.withhold(alice, bob.key, "held back")
	altered := func(change func(*wire.Part)) []byte {
		m, err := wire.Decode(slices.Clone(good.Payload))
		if err != nil {
			t.Fatal(err)
		}
		change(&m.Entries[0].Part)
		return m.Encode()
	}
	message := func(m wire.Message) []byte { return m.Encode() }
	tests := []struct {
		name    string
		sender  rookery.PublicKey
		payload []byte
		want    error
	}{
		{"bytes of all ones", alice.key, bytes.Repeat([]byte{0xff}, 100), cause.ErrMalformed},
		{"three bytes", alice.key, []byte{1, 2, 3}, cause.ErrMalformed},
		{"cut", alice.key, good.Payload[:len(good.Payload)-1], cause.ErrMalformed},
		{"too large", alice.key, make([]byte, wire.MaxMessageSize+1), cause.ErrMalformed},
		{"sender off the curve", offCurve, good.Payload, rookery.ErrPublicKey},
		{"no sender", rookery.PublicKey{}, good.Payload, rookery.ErrPublicKey},
		{"another sender", carol.key, good.Payload, cause.ErrNoSession},
		{"greatest number", alice.key, altered(func(p *wire.Part) { p.DR.N = math.MaxUint32 }), ratchet.ErrHeader},
		{"greatest number but one", alice.key, altered(func(p *wire.Part) { p.DR.N = math.MaxUint32 - 1 }), cause.ErrTooManySkipped},
		{"number of its predecessor", alice.key, altered(func(p *wire.Part) { p.DR.N-- }), cause.ErrDuplicate},
		{"greatest chain before", alice.key, altered(func(p *wire.Part) { p.DR.PN = math.MaxUint32 }), cause.ErrForged},
		{"greatest chain before, new key", alice.key, altered(func(p *wire.Part) {
			p.DR.PN, p.DR.RatchetKey = math.MaxUint32, p.DR.SignedPreKey[:]
		}), cause.ErrUnknownRatchetKey},
		{"ratchet key off the curve", alice.key, altered(func(p *wire.Part) { p.DR.RatchetKey = offCurve[:] }), cause.ErrUnknownRatchetKey},
		{"prekey of nobody", alice.key, altered(func(p *wire.Part) { p.DR.SignedPreKey = wire.PublicKey(bob.key) }), cause.ErrNoSession},
		{"forged", alice.key, altered(func(p *wire.Part) { p.Payload[len(p.Payload)-1] ^= 1 }), cause.ErrForged},
		{"forged start", alice.key, altered(func(p *wire.Part) {
			p.X3DH = &wire.X3DHHeader{Ephemeral: wire.PublicKey(alice.key), SignedPreKey: p.DR.SignedPreKey}
		}), cause.ErrForged},
		{"start with an unknown prekey", alice.key, altered(func(p *wire.Part) {
			p.DR.SignedPreKey = wire.PublicKey(alice.key)
			p.X3DH = &wire.X3DHHeader{Ephemeral: wire.PublicKey(alice.key), SignedPreKey: p.DR.SignedPreKey}
		}), cause.ErrUnknownPreKey},
		{"empty ciphertext", alice.key, altered(func(p *wire.Part) { p.Payload = nil }), ratchet.ErrCiphertext},
		{"no header", alice.key, altered(func(p *wire.Part) { p.DR = nil }), sessionactor.ErrHeader},
		{"DH-only of nothing", alice.key, altered(func(p *wire.Part) {
			p.DR, p.DH, p.Payload = nil, &wire.DHHeader{Ephemeral: wire.PublicKey(alice.key)}, nil
		}), x3dh.ErrDecrypt},
		{"not for us", alice.key, message(wire.Message{
			InstallationID: alice.installation, Entries: []wire.Entry{{Recipient: "another"}},
		}), cause.ErrNotTargeted},
		{"bundle not signed", alice.key, message(wire.Message{
			InstallationID: alice.installation, Bundles: []wire.Bundle{{Identity: wire.PublicKey(alice.key)}},
		}), cause.ErrUntrustedBundle},
		{"bundle of a sender off the curve", offCurve, message(wire.Message{
			InstallationID: alice.installation, Bundles: []wire.Bundle{{Identity: wire.PublicKey(offCurve)}},
		}), rookery.ErrPublicKey},
	}
	settle(t, store)
	contacts := whatContactsAreTo(t, bob)
	before, published, counted := digestOf(t, store, contacts), len(w.air.history()), w.engine.Counts().Refused
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			seen := len(refusals(w.bag.all()))
			w.air.deliver([]transport.Envelope{envelopeTo(bob, test.sender, test.payload)})
			w.bag.await(t, "refusal", func(events []rookery.Event) bool { return len(refusals(events)) > seen })
			r := refusals(w.bag.all())[seen]
			wantError(t, r.Err, test.want)
			if r.Sender != test.sender || r.To().InstallationID() != bob.installation {
				t.Errorf("sender %v, recipient %v", r.Sender, r.To())
			}
			if digestOf(t, store, contacts) != before {
				t.Error("the contact has changed")
			}
		})
	}
	wantCount := counted + uint64(len(tests))
	eventually(t, "count of refusals", func() bool { return w.engine.Counts().Refused >= wantCount })
	for _, nothing := range [][]byte{nil, message(wire.Message{InstallationID: alice.installation})} {
		w.air.deliver([]transport.Envelope{envelopeTo(bob, alice.key, nothing)})
	}
	if _, err := w.at(bob).Contact(w.context(), alice.key); err != nil { // all of them were handled
		t.Fatal(err)
	}
	if digestOf(t, store, contacts) != before {
		t.Error("an empty message has changed the contact")
	}
	if n := w.engine.Counts().Refused; n != wantCount {
		t.Errorf("counted %d refusals, want %d", n-counted, len(tests))
	}
	// Carol, who has no session; alice once for a session that has come apart,
	// and once for not knowing this device.
	answers := func() map[rookery.PublicKey]int {
		sent := make(map[rookery.PublicKey]int)
		for _, e := range w.air.history()[published:] {
			for _, to := range []device{alice, carol} {
				if e.Topic == transport.PersonalTopic(to.key) {
					sent[to.key]++
				}
			}
		}
		return sent
	}
	eventually(t, "answers", func() bool { return answers()[carol.key] >= 1 && answers()[alice.key] >= 2 })
	if sent := answers(); sent[carol.key] != 1 || sent[alice.key] != 2 {
		t.Errorf("%d answers to carol, %d to alice", sent[carol.key], sent[alice.key])
	}
	for _, e := range w.air.history()[published:] {
		if e.Sender != bob.key || !isAdvertisement(e) {
			t.Errorf("%v published on %v", e.Sender, e.Topic)
		}
	}
	w.air.release()
	w.awaitMessages(3, bob)
	if m := messages(w.bag.all(), bob)[2]; string(m.Payload) != "held back" {
		t.Errorf("after all that %q was received", m.Payload)
	}
}

// T19: random bytes, and a good message with a random part of it replaced,
// neither change anything nor end anything.
func TestRandomEnvelopesChangeNothing(t *testing.T) {
	w, alice, bob, store := pairWorld(t)
	good := w.withhold(alice, bob.key, "held back").Payload
	settle(t, store)
	contacts := whatContactsAreTo(t, bob)
	before := digestOf(t, store, contacts)
	const seed, envelopes = 1, 3000
	source := rand.NewChaCha8([32]byte{seed})
	random := rand.New(source)
	for n := range envelopes {
		payload := make([]byte, random.IntN(300))
		_, _ = source.Read(payload)
		if n%2 == 1 {
			at := random.IntN(len(good))
			payload = slices.Concat(good[:at], payload[:min(len(payload), 8)], good[min(at+random.IntN(9), len(good)):])
		}
		if string(payload) != string(good) {
			w.air.deliver([]transport.Envelope{envelopeTo(bob, alice.key, payload)})
		}
	}
	if _, err := w.at(bob).Contact(w.context(), alice.key); err != nil { // all of them were handled
		t.Fatal(err)
	}
	if digestOf(t, store, contacts) != before {
		w.awaitMessages(2, bob) // a change of what nothing covers leaves a good message
	}
	w.air.release()
	w.awaitMessages(2, bob)
	if m := messages(w.bag.all(), bob)[1]; string(m.Payload) != "held back" {
		t.Errorf("%q was received", m.Payload)
	}
	w.send(bob, alice.key, "still here")
	w.awaitMessages(2, alice)
}

// T26: the same message again, at once and after a restart.
func TestMessageIsReceivedOnceHoweverOftenItComes(t *testing.T) {
	w, alice, bob, _ := pairWorld(t)
	stranger := w.person(1)[0]
	for n := range 5 {
		w.send(alice, bob.key, "message "+string(rune('0'+n)))
	}
	if w.send(stranger, bob.key, "without a session").ForwardSecrecy {
		t.Error("the stranger knew bob")
	}
	w.awaitMessages(7, bob)
	for range 3 {
		before := len(refusals(w.bag.all()))
		history := slices.DeleteFunc(w.air.history(), func(e transport.Envelope) bool {
			return e.Topic != transport.PersonalTopic(bob.key)
		})
		w.air.deliver(history)
		w.bag.await(t, "refusals", func(events []rookery.Event) bool { return len(refusals(events)) == before+len(history) })
		w.reopen()
	}
	if n := len(messages(w.bag.all(), bob)); n != 7 {
		t.Errorf("%d messages were received, want 7", n)
	}
	for _, r := range refusals(w.bag.all()) {
		if !isReplay(r.Err) {
			t.Errorf("refused with %v", r.Err)
		}
	}
}
