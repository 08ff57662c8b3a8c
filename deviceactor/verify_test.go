package deviceactor

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// A bundle comes with every message. It costs a verification when it is new, and none
// again: not in memory, and not for a contact that was asleep.
func TestRepeatedBundlesAreNotVerifiedAgainAlsoAfterAWake(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	verified := func(when string, want uint64) {
		t.Helper()
		if got := bob.counters.Verified.Swap(0); got != want {
			t.Errorf("%s: %d verifications, want %d", when, got, want)
		}
	}
	verified("two messages with one bundle", 1)
	for range 3 {
		bob.restart(alice.key.Public())
		bob.receive(alice, alice.send(bob, "hello"))
		bob.receive(alice, alice.send(bob, "hello again"))
	}
	verified("the same bundle after each wake", 0)

	w.now.Add(2 * int64(bundleactor.DefaultSchedule().Refresh))
	bob.restart(alice.key.Public())
	bob.receive(alice, alice.send(bob, "on a newer bundle"))
	verified("a bundle that was signed again", 1)
	bob.restart(alice.key.Public())
	bob.receive(alice, alice.send(bob, "with the same bundle"))
	verified("the newer one after a wake", 0)
}

// T29: what is recognised is the very bundle, with its signature.
func TestAlteredBundleIsVerifiedAfterAWake(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	for name, alter := range map[string]func(*wire.Bundle){
		"signature": func(b *wire.Bundle) { b.Signature[3] ^= 1 },
		"prekey": func(b *wire.Bundle) {
			b.PreKeys = append([]wire.SignedPreKey{}, b.PreKeys...)
			b.PreKeys[0].Key = bob.ownBundle().PreKeys[0].Key
		},
	} {
		bob.restart(alice.key.Public())
		m := alice.send(bob, "hello")
		m.Bundles = append([]wire.Bundle{}, m.Bundles...)
		alter(&m.Bundles[0])
		if err := bob.tryReceive(alice, m); !errors.Is(err, x3dh.ErrBundleSignature) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A contact that was stored before hashes of bundles were verifies once more, and
// remembers then.
func TestOlderRecordLearnsTheBundleWithTheNextMessage(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	known := bob.known(alice)
	bob.restart(alice.key.Public())
	storeAsOlder(t, bob.disk, bob.owner, known, func(r *record.Installation) {
		if len(r.GetBundle()) == 0 {
			t.Error("no hash is stored")
		}
		r.Bundle = nil
	})
	for _, want := range []uint64{1, 0} {
		bob.counters.Verified.Store(0)
		bob.receive(alice, alice.send(bob, "hello"))
		if got := bob.counters.Verified.Load(); got != want {
			t.Errorf("%d verifications, want %d", got, want)
		}
		bob.restart(alice.key.Public())
	}
}
