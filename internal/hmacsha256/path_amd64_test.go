//go:build !purego

package hmacsha256

import "testing"

// onEveryPath runs a test on each path that this build and this processor
// have.
func onEveryPath(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	found := accelerated
	defer usePath(found)
	usePath(false)
	t.Run("portable", test)
	if !found {
		t.Log("this processor has no SHA extensions")
		return
	}
	usePath(true)
	t.Run("SHA extensions", test)
}

func usePath(fast bool) {
	accelerated = fast
	zeroSalt = keyOfZeros()
}

func benchmarkEveryPath(b *testing.B, run func()) {
	found := accelerated
	defer usePath(found)
	for name, fast := range map[string]bool{"portable": false, "extensions": true} {
		if fast && !found {
			continue
		}
		usePath(fast)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
