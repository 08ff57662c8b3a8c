package load

import (
	"testing"
	"time"
)

func TestHeadTravels(t *testing.T) {
	h := head{kind: answer, run: 1 << 63, sender: 7, number: 1 << 31, before: 9, meant: 3 * time.Hour}
	for _, size := range []int{MinPayload, MinPayload + 1, 1 << 20} {
		payload := h.encode(size)
		if len(payload) != size {
			t.Fatalf("%d bytes, want %d", len(payload), size)
		}
		if got, ok := decodeHead(payload); !ok || got != h {
			t.Errorf("%d bytes: got %+v, %v", size, got, ok)
		}
		if _, ok := decodeHead(payload[:size-1]); ok {
			t.Errorf("%d of %d bytes are taken for a message", size-1, size)
		}
	}
	if _, ok := decodeHead(make([]byte, 200)); ok {
		t.Error("zeros are taken for a message")
	}
}
