package goheap

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGarbageGathersUpToTheHeapThatThereIsRoomFor(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		live, heap uint64
		want       int
	}{
		{0, 1000 * mb, 400},
		{10 * mb, 1000 * mb, 400},
		{200 * mb, 1000 * mb, 400},
		{250 * mb, 1000 * mb, 300},
		{400 * mb, 1000 * mb, 150},
		{500 * mb, 1000 * mb, 100},
		{900 * mb, 1000 * mb, 100},
		{2000 * mb, 1000 * mb, 100},
		{50 * mb, 128 * mb, 156},
		{50 * mb, 0, 100}, // nobody knows how much memory there is
		{0, 0, 100},
	} {
		if got := percentage(c.live, c.live, c.heap); got != c.want {
			t.Errorf("of %d MiB in a heap of %d MiB: %d %%, want %d", c.live/mb, c.heap/mb, got, c.want)
		}
	}
}

// What a machine says of itself is believed, or nothing is.
func TestMemoryIsThatOfAMachine(t *testing.T) {
	if m := memory(); m != 0 && (m < 16<<20 || m > 1<<50) {
		t.Errorf("%d bytes", m)
	}
}

// Stacks are looked through like what is in use, and Go lets as much garbage gather for
// them.
func TestGarbageThatStacksAllowCounts(t *testing.T) {
	const mb = 1 << 20
	if got := percentage(100*mb, 300*mb, 1000*mb); got != 300 {
		t.Errorf("%d %%, want 300", got)
	}
}

// now is the percentage that holds.
func now() int {
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(percent)
	return int(percent[0].Value.Uint64())
}

// The setting follows what is in use, with each collection.
func TestSettingFollowsWhatIsInUse(t *testing.T) {
	before := now()
	defer debug.SetGCPercent(before)
	c := &collector{heap: 16 << 20, percent: before}
	runtime.GC()
	c.adapt()
	if got := now(); got != most {
		t.Fatalf("%d %% with next to nothing in use, want %d", got, most)
	}
	c.follow()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.over = true
	}()
	held := make([]byte, 32<<20)
	for deadline := time.Now().Add(time.Minute); now() != least; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d %% with more than the heap in use, want %d", now(), least)
		}
		runtime.GC()
	}
	runtime.KeepAlive(held)
}

func TestWhatTheEnvironmentSaysStays(t *testing.T) {
	before := now()
	defer debug.SetGCPercent(before)
	debug.SetGCPercent(123)
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			t.Setenv(name, "123")
			CollectSeldom()
			if got := now(); got != 123 {
				t.Errorf("%d %%", got)
			}
		})
	}
}
