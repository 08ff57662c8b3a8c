package segment

import (
	"bytes"
	"errors"
	"testing"
)

// What a Reassembler lets go of it overwrites, for whatever reason it goes.
func TestDroppedSegmentsAreOverwritten(t *testing.T) {
	whole := bytes.Repeat([]byte("said in public. "), 160)
	segments := split(t, whole, 128)
	for name, drop := range map[string]func(*testing.T, *Reassembler){
		"finished": func(t *testing.T, r *Reassembler) {
			t.Helper()
			add(t, r, 1, segments[1:19]...)
			completes(t, r, 1, segments[19], whole)
		},
		"restored": func(t *testing.T, r *Reassembler) {
			t.Helper()
			add(t, r, 1, segments[3:20]...)
			add(t, r, 1, segments[20])
			completes(t, r, 1, segments[21], whole)
		},
		"expired": func(_ *testing.T, r *Reassembler) { r.Expire(1 + r.limits.Age) },
		"evicted": func(t *testing.T, r *Reassembler) {
			t.Helper()
			for n := range uint32(r.limits.Incomplete) {
				if _, err := r.Add(2, stranger(n), first(n, 1)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"wrong parity": func(t *testing.T, r *Reassembler) {
			t.Helper()
			wrong := segments[20]
			wrong.Payload = bytes.Repeat([]byte{1}, len(wrong.Payload))
			add(t, r, 1, wrong)
			add(t, r, 1, segments[2:19]...)
			p := r.partials[key{wrong.Hash, alice}]
			held := p.parity[0]
			if _, err := r.Add(1, alice, segments[19]); !errors.Is(err, ErrHash) {
				t.Fatal(err)
			}
			if !bytes.Equal(held, make([]byte, len(held))) {
				t.Error("a parity segment is left")
			}
			r.Expire(1 + r.limits.Age)
		},
	} {
		t.Run(name, func(t *testing.T) {
			limits := small()
			limits.MessageBytes, limits.SignerBytes, limits.Bytes = 4000, 9000, 20_000
			r := newReassembler(t, limits)
			add(t, r, 1, segments[0])
			p := r.partials[key{segments[0].Hash, alice}]
			held := p.data[0]
			if !bytes.Equal(held, whole[:128]) {
				t.Fatalf("held: %x", held)
			}
			drop(t, r)
			if r.partials[p.key] != nil || !bytes.Equal(held, make([]byte, len(held))) {
				t.Errorf("left: %q", held)
			}
		})
	}
}
