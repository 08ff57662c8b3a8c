package rookery_test

import (
	"fmt"
	"testing"
	"time"
)

// keysReady is how many key pairs wait for their use.
func (w *world) keysReady() uint64 {
	c := w.engine.KeysAhead()
	return c.Made - c.Taken - c.Wiped
}

// Who talks finds its keys made; who has stopped leaves none, and costs nothing.
func TestKeysAreMadeAheadForWhoTalks(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(bob), w.at(alice))
	const rounds = 50
	for i := range rounds {
		w.send(alice, bob.key, fmt.Sprint("ping ", i))
		w.awaitMessages(i+1, bob)
		w.send(bob, alice.key, fmt.Sprint("pong ", i))
		w.awaitMessages(i+1, alice)
	}
	if c := w.engine.KeysAhead(); c.Taken < rounds {
		t.Errorf("%d messages in turn: %+v", 2*rounds, c)
	}
	// Two intervals end: the ticks go to and fro, so that the clock of the engine stays
	// where it is and nothing else becomes due that takes keys.
	turn := 0
	eventually(t, "an empty pool", func() bool {
		turn++
		w.engine.Sweep(w.now().Add(time.Duration(turn%2) * 2 * time.Minute))
		return w.engine.KeysAhead().Wiped > 0 && w.keysReady() == 0
	})
	idle := w.engine.KeysAhead()
	for range 20 {
		w.sweep() // and workers look for what there is to do
		time.Sleep(time.Millisecond)
	}
	if c := w.engine.KeysAhead(); c.Made != idle.Made || w.keysReady() != 0 {
		t.Errorf("an idle engine goes on: %+v, then %+v", idle, c)
	}
	w.send(alice, bob.key, "again")
	eventually(t, "a key made ahead", func() bool { return w.keysReady() > 0 })
	engine := w.engine
	w.reopen()
	eventually(t, "an empty pool after Close", func() bool {
		c := engine.KeysAhead()
		return c.Made == c.Taken+c.Wiped
	})
}

// A new identity takes a key for its signed prekey alone: the identity key is
// for years.
func TestIdentityKeysAreNotMadeAhead(t *testing.T) {
	w := newWorld(t, backends[1])
	for i := range uint64(5) {
		eventually(t, "keys made ahead", func() bool { return w.keysReady() == i })
		before := w.engine.KeysAhead().Taken
		w.person(1)
		if took := w.engine.KeysAhead().Taken - before; took != min(i, 1) {
			t.Errorf("identity %d took %d keys", i, took)
		}
	}
}
