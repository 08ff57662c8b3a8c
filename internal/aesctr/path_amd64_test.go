//go:build !purego

package aesctr

import "testing"

// onEveryPath runs a test on each path that this build and this processor
// have.
func onEveryPath(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	found := accelerated
	defer func() { accelerated = found }()
	accelerated = false
	t.Run("portable", test)
	if !found {
		t.Log("this processor has no AES instructions")
		return
	}
	accelerated = true
	t.Run("AES instructions", test)
}

// Neither a short stream nor one with whole groups and a rest allocates.
func TestInstructionsDoNotAllocate(t *testing.T) {
	if !accelerated {
		t.Log("this processor has no AES instructions")
		return
	}
	var key [32]byte
	var iv [16]byte
	data := make([]byte, 1000)
	for _, n := range []int{0, 1, 16, 100, groupSize, 1000} {
		if got := testing.AllocsPerRun(100, func() { XORKeyStream(data[:n], data[:n], &key, &iv) }); got != 0 {
			t.Errorf("%d bytes: %v allocations", n, got)
		}
	}
}

func benchmarkEveryPath(b *testing.B, n int, run func()) {
	found := accelerated
	defer func() { accelerated = found }()
	accelerated = false
	b.Run("portable", func(b *testing.B) { measure(b, n, run) })
	if accelerated = found; found {
		b.Run("instructions", func(b *testing.B) { measure(b, n, run) })
	}
}
