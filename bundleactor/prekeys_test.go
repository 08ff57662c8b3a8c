package bundleactor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// noon is a time of day at which bundles are believed.
const noon = int64(1_750_000_000_000_000_000)

const (
	hour = int64(time.Hour)
	day  = 24 * hour
)

// seeded gives the same bytes in every run: a test that fails fails again.
func seeded(seed string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(seed))) }

func newIdentity(tb testing.TB, seed string) *x3dh.IdentityKey {
	tb.Helper()
	key, err := x3dh.GenerateIdentity(seeded(seed))
	if err != nil {
		tb.Fatal(err)
	}
	return &key
}

func rotate(tb testing.TB, keys PreKeys, now int64) (PreKeys, Change) {
	tb.Helper()
	next, change, err := keys.Rotate(DefaultSchedule(), now, seeded(fmt.Sprint(now)))
	if err != nil {
		tb.Fatal(err)
	}
	return next, change
}

func TestPreKeyIsRotatedWhenItsTimeHasCome(t *testing.T) {
	keys, change := rotate(t, nil, noon)
	if len(keys) != 1 || keys[0].Version != 1 || keys[0].Created != noon || keys[0].Expired != 0 || len(change.Put) != 1 {
		t.Fatalf("first prekey %+v, change %+v", keys, change)
	}
	for _, test := range []struct {
		after int64
		due   bool
	}{{0, false}, {day - 1, false}, {day, true}, {30 * day, true}, {-10 * 365 * day, false}} {
		if got := keys.due(DefaultSchedule(), noon+test.after); got != test.due {
			t.Errorf("due after %v: %v", time.Duration(test.after), got)
		}
		next, change := rotate(t, keys, noon+test.after)
		if rotated := len(next) == 2; rotated != test.due {
			t.Errorf("rotated after %v: %v", time.Duration(test.after), rotated)
			continue
		}
		if !test.due {
			if len(change.Put)+len(change.Drop) != 0 {
				t.Errorf("after %v: change %+v", time.Duration(test.after), change)
			}
			continue
		}
		if next[0].Expired != noon+test.after || next[1].Version != 2 || next[1].Key.Public() == next[0].Key.Public() {
			t.Errorf("after %v: %+v", time.Duration(test.after), next)
		}
		if len(change.Put) != 2 || keys[0].Expired != 0 {
			t.Errorf("after %v: change %+v, before %+v", time.Duration(test.after), change, keys)
		}
	}
}

// T44: the private half goes when its grace is over, and not before.
func TestPreKeyIsDestroyedAfterItsGrace(t *testing.T) {
	first, _ := rotate(t, nil, noon)
	second, _ := rotate(t, first, noon+day)
	old := first[0].Key.Public()
	kept, change := rotate(t, second, noon+day+14*day-1)
	if kept.Find(old) == nil || len(change.Drop) != 0 {
		t.Error("destroyed before its grace was over")
	}
	gone, change := rotate(t, second, noon+day+14*day)
	if gone.Find(old) != nil || len(change.Drop) != 1 || change.Drop[0].Key.Public() != old {
		t.Errorf("kept after its grace; change %+v", change)
	}
	if _, ok := gone.Current(); !ok {
		t.Error("no current prekey")
	}
	// One that is current is never destroyed, however old.
	alone, change := rotate(t, first, noon+1000*day)
	if alone.Find(old) == nil || len(change.Drop) != 0 {
		t.Error("the prekey that was current until now is gone")
	}
}

func TestGraceEndsWithoutRotation(t *testing.T) {
	keys, _ := rotate(t, nil, noon)
	keys, _ = rotate(t, keys, noon+day)
	slow := Schedule{Rotate: 1000 * 24 * time.Hour, Keep: 14 * 24 * time.Hour}
	if keys.due(slow, noon+15*day-1) || !keys.due(slow, noon+15*day) {
		t.Error("the end of a grace is not noticed by itself")
	}
}

func TestVersionsOnlyGrow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var keys PreKeys
	last, now := uint32(0), noon
	for range 60 {
		now += random.Int64N(3*day) - day
		keys, _ = rotate(t, keys, now)
		current, _ := keys.Current()
		if current.Version < last {
			t.Fatalf("version %d after %d", current.Version, last)
		}
		last = current.Version
		if !slices.IsSortedFunc(keys, func(a, b PreKey) int { return int(a.Version) - int(b.Version) }) {
			t.Fatal("prekeys are out of order")
		}
	}
	if last < 10 {
		t.Errorf("only %d prekeys made", last)
	}
}

func TestFailingRandomnessMakesNoPreKey(t *testing.T) {
	keys, _ := rotate(t, nil, noon)
	next, change, err := keys.Rotate(DefaultSchedule(), noon+day, iotest.ErrReader(errors.New("no randomness")))
	if err == nil || len(next) != 1 || next[0].Expired != 0 || len(change.Put) != 0 {
		t.Errorf("got %+v, %+v, %v", next, change, err)
	}
}

func TestFindTellsWhichPreKeysCameLater(t *testing.T) {
	var keys PreKeys
	for i := range int64(4) {
		keys, _ = rotate(t, keys, noon+i*day)
	}
	for i := range keys {
		found := keys.Find(keys[i].Key.Public())
		if found == nil || found.Version != keys[i].Version || len(found.Newer) != len(keys)-1-i {
			t.Fatalf("prekey %d: %+v", i, found)
		}
		for j, newer := range found.Newer {
			if newer != keys[i+1+j].Key.Public() {
				t.Errorf("prekey %d: newer one %d is another", i, j)
			}
		}
	}
	if keys.Find(x3dh.PreKeyPublic{2, 1}) != nil {
		t.Error("found a prekey that is not ours")
	}
}

// T08: peers never accept a timestamp below the last one.
func TestBundleTimestampNeverGoesBack(t *testing.T) {
	own := newIdentity(t, "own")
	keys, _ := rotate(t, nil, noon)
	last := int64(0)
	for _, now := range []int64{noon, noon, noon - 1, noon + 1, 0, math.MinInt64, noon + hour, noon - 10*365*day} {
		b, err := keys.Bundle(own, "device", nil, now, last)
		if err != nil {
			t.Fatal(err)
		}
		if b.Timestamp <= last || b.Timestamp < now {
			t.Errorf("signed at %d, after %d, at the time %d", b.Timestamp, last, now)
		}
		if err := x3dh.CheckBundle(&b, noon+hour); err != nil {
			t.Errorf("at the time %d: %v", now, err)
		}
		last = b.Timestamp
	}
}

func TestBundleNamesUsAndOurSiblings(t *testing.T) {
	const ours, another, third = "c0000000-0000-4000-8000-000000000000", "a0000000-0000-4000-8000-000000000000", "d0000000-0000-4000-8000-000000000000"
	own := newIdentity(t, "own")
	keys, _ := rotate(t, nil, noon)
	keys, _ = rotate(t, keys, noon+day)
	others, _ := rotate(t, nil, noon+1)
	siblings := []Sibling{
		{InstallationID: third, Key: others[0].Key.Public(), Version: 9, ProtocolVersion: 2},
		{InstallationID: another, Key: keys[0].Key.Public(), Version: 3, ProtocolVersion: 1},
	}
	b, err := keys.Bundle(own, ours, siblings, noon+day, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := x3dh.CheckBundle(&b, noon+day); err != nil {
		t.Error(err)
	}
	want := []wire.SignedPreKey{
		{InstallationID: another, Key: wire.PublicKey(keys[0].Key.Public()), Version: 3, ProtocolVersion: 1},
		{InstallationID: ours, Key: wire.PublicKey(keys[1].Key.Public()), Version: 2, ProtocolVersion: 1},
		{InstallationID: third, Key: wire.PublicKey(others[0].Key.Public()), Version: 9, ProtocolVersion: 2},
	}
	if !slices.Equal(b.PreKeys, want) || b.Identity != wire.PublicKey(own.Public()) {
		t.Errorf("got %+v", b)
	}
}

func TestNoBundleWithoutAPreKey(t *testing.T) {
	if _, err := (PreKeys{}).Bundle(newIdentity(t, "own"), "device", nil, noon, 0); !errors.Is(err, x3dh.ErrBundleEmpty) {
		t.Errorf("got %v", err)
	}
}
