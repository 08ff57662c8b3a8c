//go:build !amd64 || purego

package hmacsha256

import "testing"

// onEveryPath runs a test on the only path of this build.
func onEveryPath(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Run("portable", test)
}

func benchmarkEveryPath(b *testing.B, run func()) {
	b.Run("portable", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			run()
		}
	})
}
