package rookery_test

import (
	"testing"
	"time"

	"github.com/rookery-im/rookery/proto/wire"
)

// T44: our other devices rotate their prekeys too. Our bundle names the newest
// one we know, so that a new contact reaches them when the old one is destroyed.
func TestBundleNamesTheNewestPreKeyOfOurOtherDevices(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(2), w.person(1)[0]
	for range 16 {
		w.pass(24*time.Hour + time.Minute)
		w.introduce(w.at(alice[0]), w.at(alice[1]))
		w.introduce(w.at(alice[1]), w.at(alice[0]))
	}
	known, err := w.at(alice[0]).Contact(w.context(), alice[0].key)
	if err != nil {
		t.Fatal(err)
	}
	sibling, _ := known.Find(alice[1].installation)
	encoded, err := w.at(alice[0]).Bundle(w.context())
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := wire.DecodeBundle(encoded)
	if err != nil {
		t.Fatal(err)
	}
	named := uint32(0)
	for _, k := range bundle.PreKeys {
		if k.InstallationID == alice[1].installation {
			named = k.Version
		}
	}
	if named < 2 || named != sibling.Entry.Version {
		t.Errorf("the bundle names version %d, known is %d", named, sibling.Entry.Version)
	}
	w.introduce(w.at(bob), w.at(alice[0]))
	w.send(bob, alice[0].key, "to both")
	w.awaitMessages(1, alice[0])
	w.awaitMessages(1, alice[1])
}
