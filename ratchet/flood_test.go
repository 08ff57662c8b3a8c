package ratchet

import (
	"testing"
	"time"
)

// T24: a thousand peers each make us skip as much as a message may, some of them
// again and again: each costs one chain step per key, what is stored stays within
// the limit of one session, and one message is a matter of milliseconds.
func TestFloodOfGapsStaysWithinItsBudget(t *testing.T) {
	const peers, gaps = 1000, 3
	alice, bob := newPair(t, Secp256k1)
	bob.mustReceive(t, alice.send(t, nil), []byte{})
	var flood [gaps]Message
	for i := range flood {
		sent := alice.sendMany(t, int(bob.limits.MaxSkip)+1)
		flood[i] = sent[bob.limits.MaxSkip]
	}
	best, start := time.Hour, time.Now()
	for peer := range peers {
		victim := bob.clone()
		for i, m := range flood {
			if i > 0 && peer >= 10 {
				break
			}
			began := time.Now()
			next, effects, _, err := victim.state.Decrypt(victim.skipped, m, nil, victim.limits)
			if err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(began))
			if steps := next.KeysMade - victim.state.KeysMade; steps != uint64(victim.limits.MaxSkip)+1 {
				t.Fatalf("%d steps", steps)
			}
			victim.skipped.Apply(effects)
			victim.state = next
			if n := victim.skipped.Len(); n > victim.limits.MaxStored {
				t.Fatalf("%d keys are stored", n)
			}
		}
	}
	t.Logf("gaps of %d by %d peers in %v; the fastest took %v", bob.limits.MaxSkip, peers, time.Since(start), best)
	if best > 25*time.Millisecond { // below 1 ms without the race detector
		t.Errorf("a gap takes %v", best)
	}
}
