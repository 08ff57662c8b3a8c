package rookery_test

import (
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// T42: two copies of one store are both opened and go on from the same state.
// What the second one sends cannot be read and is told from a duplicate; its
// contact is warned, and goes on with the first.
func TestSecondCopyOfAnInstallationIsNoticed(t *testing.T) {
	theirs := newWorld(t, backends[1])
	store := &journal{lasting: lasting{memstore.New()}}
	first := newWorld(t, on(store), func(o *rookery.Options) { o.Transport = theirs.air })
	alice, bob := first.person(1)[0], theirs.person(1)[0]
	first.introduce(first.at(alice), theirs.at(bob))
	first.send(alice, bob.key, "one")
	theirs.awaitMessages(1, bob)
	first.close()
	second := newWorld(t, on(lasting{store.image(t, store.moment())})) // on a network of its own
	first.open()
	first.send(alice, bob.key, "two")
	theirs.awaitMessages(2, bob)

	envelope := second.withhold(alice, bob.key, "another two")
	for n := range 2 {
		theirs.air.deliver([]transport.Envelope{envelope})
		wantError(t, awaitThese[rookery.Refused](theirs, n+1, bob).Err, cause.ErrCloned)
	}
	a := awaitThese[rookery.Alarm](theirs, 1, bob)
	wantError(t, a.Err, cause.ErrCloned)
	if a.Contact != alice.key || a.Installation != alice.installation {
		t.Errorf("alarm about %v, installation %s", a.Contact, a.Installation)
	}
	theirs.send(bob, alice.key, "which one are you?")
	first.awaitMessages(1, alice)
}
