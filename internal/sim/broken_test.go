package sim

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
)

// pair is a world in which alice/1 and bob/1 have exchanged messages.
func pair(t *testing.T) (w *world, alice, bob *device) {
	t.Helper()
	w = newWorld(1)
	for _, name := range []string{"alice", "bob"} {
		p := w.addPerson(name, deviceactor.View{MaxInstallations: maxDevices})
		w.switchOn(w.addDevice(p))
	}
	alice, bob = w.people[0].devices[0], w.people[1].devices[0]
	w.show(bob, alice)
	w.send(alice, bob.person)
	w.drain()
	w.send(bob, alice.person)
	w.drain()
	if w.judge.verdict != nil {
		t.Fatal(w.judge.verdict)
	}
	return w, alice, bob
}

// reportOf is what bob would be told of a message of alice's.
func reportOf(m *message) deviceactor.MessageReceived {
	return deviceactor.MessageReceived{
		ID: m.id, Sender: m.from.person.public, Recipient: m.to.public,
		Installation: m.from.id, Payload: m.payload, ForwardSecrecy: true,
	}
}

// TestJudgeFindsWhatIsBroken proves that every invariant can fail: each world is
// broken on purpose, and the judge has to say in which way.
func TestJudgeFindsWhatIsBroken(t *testing.T) {
	tests := []struct {
		name   string
		broken func(w *world, alice, bob *device)
		want   string
	}{
		{"delivered twice", func(w *world, _, bob *device) {
			w.received(bob, reportOf(w.judge.messages[0]), nil)
		}, "is reported to bob/1 again"},
		{"altered", func(w *world, alice, bob *device) {
			e := reportOf(w.send(alice, bob.person))
			e.Payload = append(slices.Clone(e.Payload), '!')
			w.received(bob, e, nil)
		}, "a message that nobody has sent"},
		{"wrong sender", func(w *world, alice, bob *device) {
			e := reportOf(w.send(alice, bob.person))
			e.Sender = bob.person.public
			w.received(bob, e, nil)
		}, "is reported as bob's"},
		{"wrong recipient", func(w *world, alice, bob *device) {
			e := reportOf(w.send(alice, bob.person))
			e.Recipient = alice.person.public
			w.received(bob, e, nil)
		}, "is reported to bob/1 as one to alice"},
		{"wrong installation", func(w *world, alice, bob *device) {
			e := reportOf(w.send(alice, bob.person))
			e.Installation = bob.id
			w.received(bob, e, nil)
		}, "is reported as one of bob/1"},
		{"another id", func(w *world, alice, bob *device) {
			e := reportOf(w.send(alice, bob.person))
			e.ID[0]++
			w.received(bob, e, w.net.flights[0])
		}, "has the id"},
		{"lost silently", func(w *world, alice, bob *device) {
			w.send(alice, bob.person)
			w.net.flights = nil
			w.checkLosses()
		}, "of 1 envelopes of #3 to bob/1, 0 were lost"},
		{"never published", func(w *world, alice, bob *device) {
			w.breakDisk(alice, crashWritten)
			w.send(alice, bob.person)
			w.checkLosses()
		}, "#3 was never published"},
		{"dropped from the outbox", func(w *world, alice, bob *device) {
			w.breakDisk(alice, crashWritten)
			m := w.send(alice, bob.person)
			owner := persistence.NewOwnerID(alice.person.public[:], alice.id)
			record := persistence.Record{Name: deviceactor.OutboxName(owner, bob.person.public, m.id), Delete: true}
			_ = alice.disk.Apply(context.Background(), persistence.Batch{Records: []persistence.Record{record}})
		}, "left the outbox of alice/1 unpublished"},
		{"accepted and not reported", func(w *world, alice, bob *device) {
			w.send(alice, bob.person)
			w.accepted(w.net.flights[0])
		}, "without reporting it"},
		{"accepted by somebody else", func(w *world, alice, bob *device) {
			w.send(alice, bob.person)
			f := *w.net.flights[0]
			f.to = alice
			w.accepted(&f)
		}, "which is not for it"},
		{"refused without a reason", func(w *world, alice, bob *device) {
			w.send(alice, bob.person)
			w.refused(w.net.flights[0], ratchet.ErrMAC)
		}, "without a reason"},
		{"not sent without a reason", func(w *world, alice, bob *device) {
			w.judge.sending = nil
			if w.excuseSending(alice, bob.person, deviceactor.ErrNoTarget) == "" {
				w.violation("no excuse")
			}
		}, "no excuse"},
		{"refused and stored", func(w *world, alice, bob *device) {
			w.send(alice, bob.person)
			before := bob.disk.mark(false)
			_ = bob.running.Ack(ctx, bob.unacked[0])
			w.checkUntouched(w.net.flights[0], before)
		}, "changed its store"},
		{"refused and altered", func(w *world, alice, bob *device) {
			w.send(alice, bob.person)
			before := bob.disk.mark(true)
			bob.disk.each(func(name persistence.Name, value []byte) {
				if name.Kind() == persistence.KindContact {
					batch := persistence.Batch{Records: []persistence.Record{{Name: name, Value: append(value, 0)}}}
					_ = bob.disk.Store.Apply(context.Background(), batch)
				}
			})
			w.checkUntouched(w.net.flights[0], before)
		}, "changed its store"},
		{"message key used twice", func(w *world, alice, bob *device) {
			w.send(alice, bob.person) // with a ratchet key of its own
			old := alice.disk.copy()
			w.send(alice, bob.person)
			alice.disk = old // and nobody knows
			alice.watchDisk()
			w.switchOn(alice)
			w.send(alice, bob.person)
		}, "twice"},
		{"disabled and sent to", func(w *world, alice, bob *device) {
			alice.disabled[bob.id] = true // the device was not told
			w.send(alice, bob.person)
		}, "goes to bob/1, which is disabled"},
		{"disabled and reported", func(w *world, alice, bob *device) {
			m := w.send(alice, bob.person)
			m.forbidden[bob.id] = true
			w.drain()
		}, "after its sender had disabled bob/1"},
		{"too many sessions", func(w *world, alice, bob *device) {
			w.checkLimits(bob, alice, limits{sessions: 0, skipped: 1, installations: 1})
		}, "keeps 1 sessions"},
		{"too many installations", func(w *world, alice, bob *device) {
			w.checkLimits(bob, alice, limits{sessions: 1, skipped: 1, installations: 0})
		}, "keeps 1 installations"},
		{"too many skipped keys", func(w *world, alice, bob *device) {
			w.send(alice, bob.person)
			w.send(alice, bob.person)
			w.deliver(w.net.flights[1])
			w.checkLimits(bob, alice, limits{sessions: 1, skipped: 0, installations: 1})
		}, "keeps 1 skipped keys"},
		{"too many places", func(w *world, alice, bob *device) {
			bob.person.view.MaxInstallations = -1
			w.checkLimits(bob, alice, allowed)
		}, "writes to"},
		{"accused without a reason", func(w *world, alice, bob *device) {
			w.alarm(bob, deviceactor.Alarm{Identity: alice.person.public, Installation: alice.id, Err: deviceactor.ErrConflict}, nil)
		}, "without a reason"},
		{"expired twice", func(w *world, alice, bob *device) {
			e := deviceactor.SessionChanged{Installation: alice.id, Transition: sessionactor.Transition{To: sessionactor.BecameExpired}}
			w.sessionChanged(bob, e)
			w.sessionChanged(bob, e)
		}, "has expired twice"},
		{"an older bundle", func(w *world, alice, _ *device) {
			w.checkBundle(alice, wire.Bundle{Timestamp: w.now})
			w.checkBundle(alice, wire.Bundle{Timestamp: w.now - 1})
		}, "older than one it has shown"},
		{"two sessions", func(w *world, alice, bob *device) {
			w.pass(25 * time.Hour)
			w.show(bob, alice)
			w.send(alice, bob.person) // on a new session that bob does not get
			w.checkAgreement()
		}, "use different sessions"},
		{"no session", func(w *world, alice, bob *device) {
			_ = bob.running.Deny(ctx, alice.person.public)
			w.checkAgreement()
		}, "have no session"},
		{"not read", func(w *world, _, bob *device) {
			bob.cutOff = true
			w.checkReading(w.exchange())
		}, "does not read"},
		{"no copy", func(w *world, alice, bob *device) {
			w.send(alice, bob.person).wantCopy = true
			w.drain()
			w.checkLosses()
		}, "there is no copy of #3"},
		{"left undone", func(w *world, alice, bob *device) {
			w.breakDisk(alice, crashWritten)
			w.send(alice, bob.person).from = bob // so that only the disk tells
			w.checkDisk(alice)
		}, "stays in the outbox of alice/1"},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "-"), func(t *testing.T) {
			w, alice, bob := pair(t)
			test.broken(w, alice, bob)
			if err := w.judge.verdict; err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("verdict %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestSameSeedSameTrace proves that a schedule repeats: the same seed gives the
// same keys, envelopes and events, and another one gives others (T17).
func TestSameSeedSameTrace(t *testing.T) {
	seen := make(map[string]uint64)
	for seed := uint64(1); seed <= 12; seed++ {
		first, second := run(seed, false).traceHash(), run(seed, true).traceHash()
		if first != second {
			t.Errorf("seed %d gave trace %s and then %s", seed, first, second)
		}
		if other, ok := seen[first]; ok {
			t.Errorf("seeds %d and %d have the same trace", other, seed)
		}
		seen[first] = seed
	}
}
