package rookery_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/proto/wire"
)

// newDevice hosts another installation of an identity, which nobody knows yet.
func (w *world) newDevice(of device) device {
	w.t.Helper()
	i, err := w.at(of).AddInstallation(w.context())
	if err != nil {
		w.t.Fatal(err)
	}
	return device{i.PublicKey(), i.InstallationID()}
}

// bundleNames are the installations that a hosted one's bundle names.
func (w *world) bundleNames(of device) []string {
	w.t.Helper()
	encoded, err := w.at(of).Bundle(w.context())
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := wire.DecodeBundle(encoded)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, k := range b.PreKeys {
		out = append(out, k.InstallationID)
	}
	return out
}

func (w *world) approve(at, other device, want error) {
	w.t.Helper()
	wantError(w.t, w.at(at).Approve(w.context(), other.key, other.installation), want)
}

func (w *world) disable(at, other device) {
	w.t.Helper()
	wantError(w.t, w.at(at).Disable(w.context(), other.key, other.installation), nil)
}

func sorted(all ...device) []string {
	var out []string
	for _, d := range all {
		out = append(out, d.installation)
	}
	slices.Sort(out)
	return out
}

// T33: our bundle names a device from its approval until it is removed, also
// after a restart; contacts hear of it with our next message, and stop writing to
// the removed one when they have heard nothing of it for a week.
// Spec: 5.pairing.3 5.pairing.8 5.pairing.9 5.pairing.10 5.multi-device.1 5.multi-device.2
// Spec: draft.stale-devices.1 draft.stale-devices.2 draft.stale-devices.3
func TestBundleGetsAndLosesOurOtherDevice(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduceAll([]device{alice}, []device{bob})
	second := w.newDevice(alice)
	w.introduceAll([]device{alice}, []device{second})
	to := func() []string { return w.send(bob, alice.key, "who is there?").Installations }
	names := func(want ...device) {
		t.Helper()
		if got := w.bundleNames(alice); !slices.Equal(got, sorted(want...)) {
			t.Errorf("the bundle names %v", got)
		}
	}
	names(alice)
	w.approve(alice, second, nil)
	w.approve(alice, second, nil) // twice is once
	names(alice, second)
	w.reopen()
	names(alice, second)
	w.send(alice, bob.key, "I have a new phone")
	w.awaitMessages(1, bob)
	if got := to(); !slices.Equal(got, sorted(alice, second)) {
		t.Errorf("bob writes to %v", got)
	}
	w.awaitMessages(1, alice, second)

	w.disable(alice, second)
	w.disable(alice, second)
	names(alice)
	w.reopen()
	names(alice)
	enabled := these[rookery.InstallationEnabled](w.bag.all(), alice)
	if len(enabled) != 2 || !enabled[0].Enabled || enabled[1].Enabled || enabled[0].Contact != alice.key ||
		enabled[0].Installation != second.installation || enabled[1].Installation != second.installation {
		t.Errorf("reported %+v", enabled)
	}
	w.send(alice, bob.key, "I have lost my phone")
	w.awaitMessages(2, bob)
	w.pass(7*24*time.Hour + time.Minute)
	w.send(alice, bob.key, "still lost")
	w.awaitMessages(3, bob)
	if e := awaitThese[rookery.InstallationStale](w, 1, bob); e.Contact != alice.key || e.Installation != second.installation || !e.Stale {
		t.Errorf("reported %+v", e)
	}
	if got := to(); !slices.Equal(got, sorted(alice)) {
		t.Errorf("a week later bob writes to %v", got)
	}
	w.introduce(w.at(second), w.at(bob))
	w.send(second, bob.key, "I am the phone") // its bundle brings it back
	w.awaitMessages(4, bob)
	if e := awaitThese[rookery.InstallationStale](w, 2, bob); e.Installation != second.installation || e.Stale {
		t.Errorf("reported %+v", e)
	}
	if got := to(); !slices.Equal(got, sorted(alice, second)) {
		t.Errorf("after it spoke bob writes to %v", got)
	}
}

// T33: what a contact's device gets is ours to say too.
// Spec: 5.paired-group.1
func TestDisabledDeviceOfAContactGetsNothingUntilApproved(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(2)
	w.introduceAll([]device{alice}, bob)
	for _, restart := range []bool{false, true} {
		w.disable(alice, bob[1])
		if restart {
			w.reopen()
		}
		if got := w.send(alice, bob[0].key, "to the first").Installations; !slices.Equal(got, sorted(bob[0])) {
			t.Errorf("written to %v", got)
		}
		w.approve(alice, bob[1], nil)
		if got := w.send(alice, bob[0].key, "to both").Installations; !slices.Equal(got, sorted(bob...)) {
			t.Errorf("written to %v", got)
		}
	}
	w.awaitMessages(4, bob[0])
	w.awaitMessages(2, bob[1])
	w.disable(alice, bob[0])
	w.disable(alice, bob[1])
	_, err := w.at(alice).Send(w.context(), bob[0].key, []byte("to nobody"))
	wantError(t, err, cause.ErrNoTarget)
	for _, m := range messages(w.bag.all(), bob[1]) {
		if string(m.Payload) != "to both" {
			t.Errorf("the disabled device received %q", m.Payload)
		}
	}
	awaitThese[rookery.InstallationEnabled](w, 6, alice)
	var enabled []bool
	for _, e := range these[rookery.InstallationEnabled](w.bag.all(), alice) {
		if e.Contact != bob[0].key {
			t.Errorf("reported %+v", e)
		}
		enabled = append(enabled, e.Enabled)
	}
	if !slices.Equal(enabled, []bool{false, true, false, true, false, false}) {
		t.Errorf("reported %v", enabled)
	}
}

// T33: with AskFirst a contact's further device is heard of and gets nothing
// before it is approved.
// Spec: draft.ghost-device.2
func TestContactsFurtherDeviceWaitsForApprovalIfAsked(t *testing.T) {
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.Devices = rookery.AskFirst })
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduceAll([]device{alice}, []device{bob})
	second := w.newDevice(bob)
	w.introduceAll([]device{bob}, []device{second})
	w.approve(bob, second, nil)
	w.introduceAll([]device{alice}, []device{bob})
	awaitThese[rookery.InstallationDiscovered](w, 2, alice)
	discovered := these[rookery.InstallationDiscovered](w.bag.all(), alice)
	if len(discovered) != 2 || !discovered[0].Enabled || discovered[1].Enabled || discovered[1].Installation != second.installation {
		t.Errorf("discovered %+v", discovered)
	}
	for _, want := range [][]device{{bob}, {bob, second}} {
		if got := w.send(alice, bob.key, "x").Installations; !slices.Equal(got, sorted(want...)) {
			t.Errorf("written to %v", got)
		}
		w.approve(alice, second, nil)
	}
	w.awaitMessages(1, second)
	w.awaitMessages(2, bob)
}

// Spec: 5.pairing.6 54.recommendations.1 54.recommendations.2
func TestNoMoreThanNDevicesOfOurOwn(t *testing.T) {
	for _, test := range []struct{ option, devices int }{{0, 3}, {2, 2}, {5, 5}} {
		w := newWorld(t, backends[1], func(o *rookery.Options) { o.MaxInstallations = test.option })
		alice, bob := w.person(test.devices), w.person(1)[0]
		more := w.newDevice(alice[0])
		w.introduceAll(alice[:1], []device{more})
		w.approve(alice[0], more, cause.ErrTooManyInstallations)
		if got := w.bundleNames(alice[0]); !slices.Equal(got, sorted(alice...)) {
			t.Errorf("at most %d: the bundle names %v", test.devices, got)
		}
		w.introduceAll([]device{bob}, alice)
		if got := w.send(bob, alice[0].key, "x").Installations; !slices.Equal(got, sorted(alice...)) {
			t.Errorf("at most %d: written to %v", test.devices, got)
		}
		w.disable(alice[0], alice[1]) // makes room
		w.approve(alice[0], more, nil)
		w.approve(alice[0], alice[1], cause.ErrTooManyInstallations)
	}
}

// Each device is told of by the one that was there, and gets what is sent from
// then on by anybody (T33: it is not ours to approve for others).
// Spec: 5.paired-group.2
func TestMostRecentlyActiveDevicesOfAContactAreWrittenTo(t *testing.T) {
	many := newWorld(t, backends[1], func(o *rookery.Options) { o.MaxInstallations = 4 })
	few := newWorld(t, backends[1], func(o *rookery.Options) { o.MaxInstallations, o.Transport = 2, many.air })
	bob, alice := many.person(4), few.person(1)[0]
	few.introduce(few.at(alice), many.at(bob[0]))
	for _, d := range bob {
		many.introduce(many.at(d), few.at(alice))
	}
	for n, speaks := range []int{3, 1, 0} {
		many.send(bob[speaks], alice.key, "here")
		few.awaitMessages(n+1, alice)
	}
	if got := few.send(alice, bob[0].key, "x").Installations; !slices.Equal(got, sorted(bob[0], bob[1])) {
		t.Errorf("written to %v", got)
	}
	if e := awaitThese[rookery.Alarm](few, 1, alice); e.Contact != bob[0].key {
		t.Errorf("alarm %+v", e)
	} else {
		wantError(t, e.Err, cause.ErrEvicted) // T34
	}
}
