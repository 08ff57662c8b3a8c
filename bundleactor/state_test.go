package bundleactor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

const (
	ours    = "c0000000-0000-4000-8000-000000000000"
	another = "a0000000-0000-4000-8000-000000000000"
	third   = "d0000000-0000-4000-8000-000000000000"
)

// installation is the one that these tests renew.
func installation(tb testing.TB) Installation {
	tb.Helper()
	return Installation{Identity: newIdentity(tb, "own"), ID: ours, Schedule: DefaultSchedule()}
}

// renew makes a step that has to succeed.
func renew(tb testing.TB, host Installation, state State, siblings []Sibling, why Reason, now int64) (State, Change) {
	tb.Helper()
	next, change, err := state.Renew(host, siblings, why, now, seeded(fmt.Sprint(now, state.Signed)))
	if err != nil {
		tb.Fatal(err)
	}
	return next, change
}

// sibling is another installation of ours with a prekey of its own.
func sibling(tb testing.TB, id string, version uint32) Sibling {
	tb.Helper()
	keys, _ := rotate(tb, nil, noon+int64(version))
	return Sibling{InstallationID: id, Key: keys[0].Key.Public(), Version: version, ProtocolVersion: 1}
}

func TestFirstStepMakesAPreKeyAndABundleOfIt(t *testing.T) {
	for _, why := range []Reason{Asked, Announced, Forced} {
		state, change := renew(t, installation(t), State{}, nil, why, noon)
		if len(state.Keys) != 1 || len(state.Bundle.PreKeys) != 1 || len(change.Put) != 1 || !change.Publication {
			t.Errorf("reason %d: %+v, change %+v", why, state, change)
		}
		if err := x3dh.CheckBundle(&state.Bundle, noon); err != nil {
			t.Errorf("reason %d: %v", why, err)
		}
	}
	if state, change := renew(t, installation(t), State{}, nil, Swept, noon); len(state.Keys) != 0 || !change.Empty() {
		t.Errorf("made by a sweep: %+v, change %+v", state, change)
	}
}

// T32: the same bundle is shown as long as nothing in it changes, and never two
// different ones with the same timestamp.
func TestSignedBundleIsReusedUntilItChangesOrIsDue(t *testing.T) {
	host := installation(t)
	siblings := []Sibling{sibling(t, another, 1)}
	newer := []Sibling{sibling(t, another, 2)}
	first, _ := renew(t, host, State{}, siblings, Asked, noon)
	for name, test := range map[string]struct {
		siblings []Sibling
		why      Reason
		now      int64
		signed   bool
	}{
		"asked at once":                {siblings, Asked, noon, false},
		"asked before it is due":       {siblings, Asked, noon + hour - 1, false},
		"asked when it is due":         {siblings, Asked, noon + hour, true},
		"asked long after":             {siblings, Asked, noon + day - 1, true},
		"swept when it is due":         {siblings, Swept, noon + day - 1, false},
		"swept when the prekey is due": {siblings, Swept, noon + day, true},
		"the clock went back a little": {siblings, Asked, noon - 1, true},
		"another sibling":              {append(siblings, sibling(t, third, 1)), Asked, noon, true},
		"no sibling":                   {nil, Asked, noon, true},
		"a sibling with a newer key":   {newer, Swept, noon, true},
		"published for everybody":      {siblings, Announced, noon + 1, false},
		"published when it is due":     {siblings, Announced, noon + hour, true},
		"forced too early":             {siblings, Forced, noon + hour - 1, false},
		"forced":                       {siblings, Forced, noon + hour, true},
	} {
		next, change := renew(t, host, first, test.siblings, test.why, test.now)
		if same := reflect.DeepEqual(next.Bundle, first.Bundle); same == test.signed {
			t.Errorf("%s: signed anew: %v", name, !same)
		}
		if next.Bundle.Timestamp < first.Bundle.Timestamp || test.signed && next.Bundle.Timestamp == first.Bundle.Timestamp {
			t.Errorf("%s: signed at %d after %d", name, next.Bundle.Timestamp, first.Bundle.Timestamp)
		}
		if want := test.signed || test.why == Announced; change.Publication != want {
			t.Errorf("%s: change %+v", name, change)
		}
		if !test.signed && test.why != Announced && !reflect.DeepEqual(next, first) {
			t.Errorf("%s: %+v became %+v", name, first, next)
		}
		if err := x3dh.CheckBundle(&next.Bundle, noon+day); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Spec: 5.bundle-rotation.1
func TestPublishedIsGoodUntilSomethingIsDue(t *testing.T) {
	host := installation(t)
	first, _ := renew(t, host, State{}, nil, Asked, noon)
	late, _ := renew(t, host, first, nil, Asked, noon+day-1)
	for _, test := range []struct {
		p            Published
		since, until int64
	}{
		{first.Published(host.Schedule), noon, noon + hour},
		{late.Published(host.Schedule), noon + day - 1, noon + day},
	} {
		if test.p.Since != test.since || test.p.Until != test.until || test.p.Doubted {
			t.Errorf("got %+v", test.p)
		}
		if test.p.Good(test.since-1) || !test.p.Good(test.since) || !test.p.Good(test.until-1) || test.p.Good(test.until) {
			t.Errorf("good outside of [%d, %d)", test.since, test.until)
		}
	}
}

// Spec: 5.multi-device.1 5.pairing.8
func TestBundleNamesUsAndOurSiblings(t *testing.T) {
	host := installation(t)
	siblings := []Sibling{sibling(t, third, 9), sibling(t, another, 3)}
	siblings[0].ProtocolVersion = 2
	state, _ := renew(t, host, State{}, nil, Asked, noon)
	state, _ = renew(t, host, state, siblings, Asked, noon+day)
	if err := x3dh.CheckBundle(&state.Bundle, noon+day); err != nil {
		t.Error(err)
	}
	want := []wire.SignedPreKey{
		{InstallationID: another, Key: wire.PublicKey(siblings[1].Key), Version: 3, ProtocolVersion: 1},
		{InstallationID: ours, Key: wire.PublicKey(state.Keys[1].Key.Public()), Version: 2, ProtocolVersion: 1},
		{InstallationID: third, Key: wire.PublicKey(siblings[0].Key), Version: 9, ProtocolVersion: 2},
	}
	if !slices.Equal(state.Bundle.PreKeys, want) || state.Bundle.Identity != wire.PublicKey(host.Identity.Public()) {
		t.Errorf("got %+v", state.Bundle)
	}
}

// T33. Spec: 5.pairing.10
func TestDisabledSiblingStandsInNoFurtherBundle(t *testing.T) {
	host := installation(t)
	state, _ := renew(t, host, State{}, []Sibling{sibling(t, another, 1), sibling(t, third, 1)}, Asked, noon)
	with := state.Bundle.Timestamp
	for i, siblings := range [][]Sibling{{sibling(t, third, 1)}, nil} {
		state, _ = renew(t, host, state, siblings, Asked, noon) // the clock need not have moved
		for _, entry := range state.Bundle.PreKeys {
			if entry.InstallationID == another {
				t.Errorf("step %d: still there", i)
			}
		}
		if len(state.Bundle.PreKeys) != 2-i || state.Bundle.Timestamp <= with {
			t.Errorf("step %d: %+v", i, state.Bundle)
		}
		with = state.Bundle.Timestamp
	}
}

// Whoever makes us answer, however often, gets one new prekey an hour.
func TestForcedRotationHappensOnceAnHour(t *testing.T) {
	host, store := installation(t), memory.New()
	var state State
	var change Change
	for at := int64(0); at < day/2; at += int64(7 * time.Minute) {
		state, change = renew(t, host, state, nil, Forced, noon+at)
		state = stored(t, store, state, change) // also if it restarts each time
	}
	// Each is at least an hour older than the next, and asked for every 7
	// minutes: at 0, 63, 126 minutes and so on.
	if want := int(day/2/int64(63*time.Minute)) + 1; len(state.Keys) != want {
		t.Errorf("%d prekeys in 12 hours, want %d", len(state.Keys), want)
	}
	for i := 1; i < len(state.Keys); i++ {
		if age := state.Keys[i].Created - state.Keys[i-1].Created; age < hour {
			t.Errorf("prekey %d replaced after %v", i, time.Duration(age))
		}
	}
}

// A schedule that rotates more often than once an hour is not slowed down.
func TestForcedRotationIsNoLaterThanTheScheduled(t *testing.T) {
	host := installation(t)
	host.Schedule.Rotate = time.Minute
	state, _ := renew(t, host, State{}, nil, Asked, noon)
	if state, _ = renew(t, host, state, nil, Forced, noon+int64(time.Minute)); len(state.Keys) != 2 {
		t.Errorf("%d prekeys", len(state.Keys))
	}
}

// T44: also if no prekey is due, and nobody asks.
func TestSweepDestroysWhatWasKeptLongEnough(t *testing.T) {
	host := installation(t)
	state, _ := renew(t, host, State{}, nil, Asked, noon)
	state, _ = renew(t, host, state, nil, Asked, noon+day)
	old := state.Keys[0].Key.Public()
	host.Schedule.Rotate = 100 * 24 * time.Hour
	if early, change := renew(t, host, state, nil, Swept, noon+15*day-1); !change.Empty() || find(t, early.Keys, old) == nil {
		t.Errorf("destroyed before its grace was over: %+v", change)
	}
	next, change := renew(t, host, state, nil, Swept, noon+15*day)
	if find(t, next.Keys, old) != nil || len(change.Drop) != 1 || len(change.Put) != 0 || change.Publication {
		t.Errorf("kept after its grace; change %+v", change)
	}
	list, err := next.Records(owner, change)
	if err != nil || len(list) != 1 || !list[0].Delete || list[0].Name != preKeyName(owner, 1) {
		t.Errorf("records %+v, %v", list, err)
	}
}

// T51.
func TestFailedStepChangesNothing(t *testing.T) {
	broken := errors.New("no randomness")
	state, _ := renew(t, installation(t), State{}, nil, Asked, noon)
	next, change, err := state.Renew(installation(t), nil, Announced, noon+day, iotest.ErrReader(broken))
	if !errors.Is(err, broken) || !change.Empty() || !reflect.DeepEqual(next, state) {
		t.Errorf("%+v became %+v, change %+v, %v", state, next, change, err)
	}
}

// T08, T32: whatever is asked, whenever and by whatever clock, no two different
// bundles have the same timestamp, timestamps grow, prekeys keep their order,
// and every bundle is well signed. The clock stays near the right one here; for
// one that does not see the tests of jumps.
func TestAnyHistoryHasGrowingTimestamps(t *testing.T) {
	const seeds = 8
	for seed := range uint64(seeds) {
		random := rand.New(rand.NewPCG(seed, 8))
		host, store := installation(t), memory.New()
		sets := [][]Sibling{nil, {sibling(t, another, 1)}, {sibling(t, another, 2), sibling(t, third, 1)}}
		var state State
		siblings, now := sets[0], noon
		for step := range 120 {
			now += random.Int64N(3*hour) - hour
			if random.IntN(4) == 0 {
				siblings = sets[random.IntN(len(sets))]
			}
			next, change := renew(t, host, state, siblings, Reason(random.IntN(4)), now)
			same := reflect.DeepEqual(next.Bundle, state.Bundle)
			if !same && next.Bundle.Timestamp <= state.Bundle.Timestamp {
				t.Fatalf("seed %d, step %d: another bundle signed at %d after %d; repeat: go test ./bundleactor -run %s",
					seed, step, next.Bundle.Timestamp, state.Bundle.Timestamp, t.Name())
			}
			if err := x3dh.VerifySignature(&next.Bundle); len(next.Bundle.PreKeys) > 0 && err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			if !slices.IsSortedFunc(next.Keys, func(a, b PreKey) int { return int(a.Version) - int(b.Version) }) {
				t.Fatalf("seed %d, step %d: prekeys are out of order", seed, step)
			}
			if next.Doubted != 0 {
				t.Fatalf("seed %d, step %d: the clock is doubted", seed, step)
			}
			state = stored(t, store, next, change)
		}
		if len(state.Keys) < 5 {
			t.Errorf("seed %d: only %d prekeys", seed, len(state.Keys))
		}
	}
}
