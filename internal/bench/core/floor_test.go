package core

import "testing"

// The counts that the floor rests on, as they follow from RFC 2104 and RFC 5869.
func TestFloorCountsBlocks(t *testing.T) {
	for plaintext, want := range map[int]int{0: 23, 100: 24, 1024: 39} {
		if got := messageBlocks(plaintext); got != want {
			t.Errorf("%d bytes: %d blocks, want %d", plaintext, got, want)
		}
	}
}
