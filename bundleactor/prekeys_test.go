package bundleactor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
	"time"

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
	next, change, err := keys.rotate(DefaultSchedule(), now, seeded(fmt.Sprint(now)))
	if err != nil {
		tb.Fatal(err)
	}
	return next, change
}

// Spec: 5.bundle-rotation.1
func TestPreKeyIsRotatedWhenItsTimeHasCome(t *testing.T) {
	keys, change := rotate(t, nil, noon)
	if len(keys) != 1 || keys[0].Version != 1 || keys[0].Created != noon || keys[0].Expired != 0 || len(change.Put) != 1 {
		t.Fatalf("first prekey %+v, change %+v", keys, change)
	}
	for _, test := range []struct {
		after int64
		due   bool
	}{{0, false}, {day - 1, false}, {day, true}, {30 * day, true}} {
		next, change := rotate(t, keys, noon+test.after)
		if rotated := len(next) == 2; rotated != test.due {
			t.Errorf("rotated after %v: %v", time.Duration(test.after), rotated)
			continue
		}
		if !test.due {
			if !change.Empty() {
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
	if find(t, kept, old) == nil || len(change.Drop) != 0 {
		t.Error("destroyed before its grace was over")
	}
	gone, change := rotate(t, second, noon+day+14*day)
	if find(t, gone, old) != nil || len(change.Drop) != 1 || change.Drop[0].Key.Public() != old {
		t.Errorf("kept after its grace; change %+v", change)
	}
	if _, ok := gone.Current(); !ok {
		t.Error("no current prekey")
	}
	// One that is current is never destroyed, however old.
	alone, change := rotate(t, first, noon+1000*day)
	if find(t, alone, old) == nil || len(change.Drop) != 0 {
		t.Error("the prekey that was current until now is gone")
	}
}

// T44: what a clock that was wrong has stamped is not kept for longer.
func TestPreKeysOfTheFutureAreTakenForPresentOnes(t *testing.T) {
	keys, _ := rotate(t, nil, noon+100*day)
	keys, _ = rotate(t, keys, noon+101*day)
	back, change := rotate(t, keys, noon)
	if len(back) != 2 || len(change.Put) != 2 || len(change.Drop) != 0 {
		t.Fatalf("got %+v, change %+v", back, change)
	}
	if back[0].Created != noon || back[0].Expired != noon || back[1].Created != noon || back[1].Expired != 0 {
		t.Errorf("got %+v", back)
	}
	if later, _ := rotate(t, back, noon+14*day); find(t, later, keys[0].Key.Public()) != nil {
		t.Error("kept for more than its grace")
	}
	if keys[0].Created != noon+100*day {
		t.Error("the step changed its input")
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
	next, change, err := keys.rotate(DefaultSchedule(), noon+day, iotest.ErrReader(errors.New("no randomness")))
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
		found := find(t, keys, keys[i].Key.Public())
		if found == nil || found.Version != keys[i].Version || len(found.Newer) != len(keys)-1-i {
			t.Fatalf("prekey %d: %+v", i, found)
		}
		for j, newer := range found.Newer {
			if newer != keys[i+1+j].Key.Public() {
				t.Errorf("prekey %d: newer one %d is another", i, j)
			}
		}
	}
	if find(t, keys, x3dh.PreKeyPublic{2, 1}) != nil {
		t.Error("found a prekey that is not ours")
	}
	if usable := keys.Usable(); len(usable) != 4 || usable[0] != keys[0].Key.Public() || usable[3] != keys[3].Key.Public() {
		t.Errorf("%d prekeys can be used", len(usable))
	}
}
