//go:build cgo

package arenas

import "testing"

func TestTheLibraryTakesTheBound(t *testing.T) {
	if !bounded() {
		t.Error("no bound")
	}
}
