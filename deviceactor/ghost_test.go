package deviceactor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// ghosts is a bundle that names the installations of a contact and others.
func ghosts(timestamp int64, n int, honest ...wire.SignedPreKey) *wire.Bundle {
	b := bundleOf(timestamp, honest...)
	for i := range n {
		b.PreKeys = append(b.PreKeys, signed(fmt.Sprintf("ghost-%03d", i), 1, byte(i)))
	}
	slices.SortFunc(b.PreKeys, func(x, y wire.SignedPreKey) int { return strings.Compare(x.InstallationID, y.InstallationID) })
	return b
}

// T33, T34: as many installations as the wire can name are reported up to what is
// believed in a day; the rest is ignored with one alarm, and none of them takes
// the place of one that talks.
// Spec: draft.ghost-device.2 5.paired-group.2
func TestFloodOfInstallationsIsBoundedAndReported(t *testing.T) {
	var c Contact
	for i, id := range []string{"real-1", "real-2", "real-3"} {
		c, _ = c.TakeBundle(here, bundleOf(100, signed(id, 1, 1)), id, noon)
		c, _ = c.heard(here, id, noon+int64(i))
	}
	now := noon + 5
	for d, want := range []int{maxNewInstallations - 3, maxNewInstallations, maxNewInstallations} {
		before := len(c.Installations)
		var e Effects
		c, e = c.TakeBundle(here, ghosts(int64(200+d), wire.MaxPreKeys-3, signed("real-1", 1, 1), signed("real-2", 1, 1), signed("real-3", 1, 1)), "real-1", now)
		if got := len(c.Installations) - before; got != want {
			t.Errorf("day %d: %d believed, want %d", d, got, want)
		}
		if got := told(e); strings.Count(got, "new ghost") != want || strings.Count(got, "ignored real-1") != 1 || strings.Contains(got, "evicted") {
			t.Errorf("day %d: told %q", d, got)
		}
		if len(e.Installations) != want+1 { // real-1 signed it
			t.Errorf("day %d: %d installations stored", d, len(e.Installations))
		}
		c, e = c.TakeBundle(here, ghosts(int64(200+d), wire.MaxPreKeys-3, signed("real-1", 1, 1), signed("real-2", 1, 1), signed("real-3", 1, 1)), "real-1", now)
		if len(e.Installations) != 0 || told(e) != "ignored real-1" {
			t.Errorf("day %d, again: told %q", d, told(e))
		}
		if got := ids(c.Targets(here, now)); got != "[real-1 real-2 real-3]" {
			t.Errorf("day %d: targets %s", d, got)
		}
		now += newWindow
	}
}

// T34: beyond the bound new installations are ignored, and push out nobody.
func TestInstallationsOfAnIdentityAreBounded(t *testing.T) {
	var c Contact
	for i := range 200 {
		var e Effects
		c, e = c.TakeBundle(here, bundleOf(100, signed(fmt.Sprintf("%03d", i), 1, byte(i))), "", int64(i)*newWindow)
		if want := map[bool]string{true: fmt.Sprintf("new %03d", i), false: fmt.Sprintf("ignored %03d", i)}[i < maxInstallations]; told(e) != want {
			t.Fatalf("told %q, want %q", told(e), want)
		}
	}
	if len(c.Installations) != maxInstallations || ids(c.Installations)[:4] != "[000" {
		t.Errorf("%d installations: %s", len(c.Installations), ids(c.Installations))
	}
	if !slices.IsSortedFunc(c.Installations, func(a, b Installation) int { return byID(a, b.ID) }) {
		t.Error("installations are out of order")
	}
	if next, e := c.heard(here, "999", noon); len(next.Installations) != maxInstallations || len(e.Events) != 0 {
		t.Errorf("one more that speaks: told %q", told(e))
	}
	c, _ = c.TakeBundle(here, bundleOf(101, signed("000", 2, 9)), "", 1000)
	if in, _ := c.Find("000"); in.Entry.Version != 2 {
		t.Error("a known one is not renewed at the bound")
	}
}

// T34: whatever somebody who can sign and speak for a hundred installations does,
// none that was written to loses its place without a word.
// Spec: 5.paired-group.2
func TestNobodyIsPushedOutWithoutAnAlarm(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 34))
		var c Contact
		pick := func() string { return fmt.Sprintf("%03d", random.IntN(100)) }
		evictions := 0
		for step := range 120 {
			now := noon + int64(step)*newWindow/4
			before := c
			var e Effects
			switch random.IntN(4) {
			case 0:
				c, e = c.heard(here, pick(), now)
			case 1:
				b := bundleOf(int64(step))
				for _, id := range []string{pick(), pick(), pick()} {
					b.PreKeys = append(b.PreKeys, signed(id, uint32(random.IntN(9)), byte(random.IntN(9))))
				}
				c, e = c.TakeBundle(here, b, pick(), now)
			case 2:
				r := Reading{Message: &wire.Message{InstallationID: pick(), Bundles: []wire.Bundle{*ghosts(int64(step), random.IntN(100))}}, kind: ratchets}
				var err error
				if c, e, err = c.Receive(here, r, []byte("x"), now); err != nil {
					t.Fatal(err)
				}
			case 3:
				c, e = c.Age(now)
			}
			for _, was := range before.Targets(here, now) {
				still := slices.ContainsFunc(c.Targets(here, now), func(in Installation) bool { return in.ID == was.ID })
				in, _ := c.Find(was.ID)
				alarm := strings.Contains(told(e), "evicted "+was.ID)
				if !still && !in.stale(now) {
					evictions++
				}
				if alarm == still || !still && in.stale(now) {
					t.Fatalf("step %d: %s is a target %v, told %q (go test -run TestNobodyIsPushedOutWithoutAnAlarm, seed %d)", step, was.ID, still, told(e), seed)
				}
			}
			if len(c.Installations) > maxInstallations || len(c.Targets(here, now)) > here.MaxInstallations {
				t.Fatalf("step %d: %d installations (seed %d)", step, len(c.Installations), seed)
			}
		}
		if evictions == 0 {
			t.Errorf("seed %d: nobody was ever pushed out", seed)
		}
	}
}

// T34: a device that comes back with a bundle of its own takes its old place, and
// whoever had it meanwhile is named.
func TestDeviceThatComesBackPushesOutWithAnAlarm(t *testing.T) {
	var c Contact
	for i, id := range []string{"a", "b", "c", "d"} {
		c = c.put(Installation{ID: id, Enabled: true, Entry: entry(100, 1, 1), Signed: 100, Active: noon + int64(i)})
	}
	back, _ := c.Find("d")
	back.OmittedSince, back.Stale = noon, true
	c = c.put(back)
	now := noon + 8*day
	if got := ids(c.Targets(here, now)); got != "[a b c]" {
		t.Fatalf("targets %s", got)
	}
	c, e := c.TakeBundle(here, bundleOf(200, signed("a", 1, 1), signed("b", 1, 1), signed("c", 1, 1), signed("d", 1, 1)), "d", now)
	if told(e) != "back d, evicted a" || ids(c.Targets(here, now)) != "[b c d]" {
		t.Errorf("told %q, targets %s", told(e), ids(c.Targets(here, now)))
	}
}

// T33: with the policy to ask, a device that turns up later gets nothing before
// it was approved, and nothing after it was disabled.
// Spec: 5.multi-device.2 draft.ghost-device.2
func TestGhostDeviceGetsNothingUnlessApproved(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	alice.devicesNew = AskFirst
	ghost := w.hostDevice(bob.key, "ghost")
	talk(alice, bob)
	alice.meets(ghost)
	to := func(want string) *wire.Message {
		t.Helper()
		receipt, err := alice.trySend(bob, "x")
		if err != nil || fmt.Sprint(receipt.Installations) != want {
			t.Errorf("sent to %v, %v, want %s", receipt.Installations, err, want)
		}
		alice.settle(bob)
		return alice.line.take()[0]
	}
	if e := reported[InstallationDiscovered](alice); len(e) != 2 || !e[0].Enabled || e[1].Installation != "ghost" || e[1].Enabled {
		t.Errorf("discovered %+v", e)
	}
	if err := ghost.tryReceive(alice, to("[bob]")); !errors.Is(err, ErrNotTargeted) {
		t.Errorf("the ghost: %v", err)
	}
	ghost.advertised() // it asks to be included
	ghost.meets(alice)
	alice.receive(bob, ghost.send(alice, "I am bob's"))
	to("[bob]")
	alice.restart(bob.key.Public())
	to("[bob]")
	if err := alice.enable(bob, "ghost", true); err != nil {
		t.Fatal(err)
	}
	ghost.receive(alice, to("[bob ghost]"))
	if err := alice.enable(bob, "ghost", false); err != nil {
		t.Fatal(err)
	}
	alice.receive(bob, ghost.send(alice, "still here"))
	if err := ghost.tryReceive(alice, to("[bob]")); !errors.Is(err, ErrNotTargeted) {
		t.Errorf("the ghost, disabled: %v", err)
	}
	if err := alice.enable(bob, "nobody", true); !errors.Is(err, ErrUnknownInstallation) {
		t.Errorf("one that is not known: %v", err)
	}
	if e := reported[InstallationEnabled](alice); len(e) != 2 || !e[0].Enabled || e[1].Enabled || e[0].Identity != bob.key.Public() {
		t.Errorf("reported %+v", e)
	}
}

// T33: nobody else's bundle says anything of our own devices, though it names
// their ids.
// Spec: 54.pairing.1 draft.ghost-device.1
func TestForeignBundleAddsNothingToOurOwnDevices(t *testing.T) {
	w := newWorld(t)
	phone := w.host("phone")
	laptop := w.hostDevice(phone.key, "laptop")
	mallory := w.hostDevice(w.newKey("mallory"), "laptop")
	foreign := mallory.ownBundle()
	if err := phone.tryTake(laptop, foreign); !errors.Is(err, x3dh.ErrBundleIdentity) {
		t.Errorf("by hand: %v", err)
	}
	phone.receive(laptop, &wire.Message{InstallationID: "laptop", Bundles: []wire.Bundle{foreign}})
	if c := phone.known(laptop); len(c.Installations) != 0 {
		t.Errorf("our own devices are %s", ids(c.Installations))
	}
	phone.meets(mallory) // as a contact's it is taken
	phone.receive(mallory, &wire.Message{InstallationID: "laptop", Bundles: []wire.Bundle{foreign}})
	if c := phone.known(laptop); len(c.Installations) != 0 || phone.siblings.Load() {
		t.Errorf("our own devices are %s", ids(c.Installations))
	}
	if c := phone.known(mallory); ids(c.Installations) != "[laptop]" {
		t.Errorf("mallory's devices are %s", ids(c.Installations))
	}
}

// T35: two identities with the same installation id share nothing: no record, no
// session, no fate.
// Spec: 5.peer.1
func TestSameInstallationIDUnderTwoIdentities(t *testing.T) {
	w := newWorld(t)
	bob := w.host("bob")
	alice := w.hostDevice(w.newKey("alice"), "twin")
	mallory := w.hostDevice(w.newKey("mallory"), "twin")
	talk(alice, bob)
	talk(mallory, bob)
	names := make(map[persistence.Kind]int)
	err := bob.disk.Scan(t.Context(), "", func(name persistence.Name, _ []byte) error {
		names[name.Kind()]++
		return nil
	})
	if err != nil || names[persistence.KindContact] != 2 || bob.stored(alice) != 1 || bob.stored(mallory) != 1 || names[persistence.KindSession] != 2 {
		t.Errorf("records %v, %v", names, err)
	}
	fromAlice := alice.send(bob, "from alice")
	refusals{t, bob, mallory}.check("alice's as mallory's", fromAlice, ratchet.ErrMAC)
	toAlice := bob.send(alice, "secret for alice")
	refusals{t, mallory, bob}.check("for alice, read by mallory", toAlice, ratchet.ErrUnknownRatchetKey)
	if err := bob.enable(mallory, "twin", false); err != nil {
		t.Fatal(err)
	}
	bob.receive(alice, fromAlice)
	alice.receive(bob, toAlice)
	alice.receive(bob, bob.send(alice, "on"))
	if _, err := bob.trySend(mallory, "x"); !errors.Is(err, ErrNoTarget) {
		t.Errorf("to the one that was disabled: %v", err)
	}
	if got := fmt.Sprint(mallory.received()); strings.Contains(got, "alice") {
		t.Errorf("mallory read %s", got)
	}
}
