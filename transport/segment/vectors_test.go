package segment

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// cut is a whole that a deployed client (status-go 2024-10) has cut.
type cut struct {
	whole []byte
	size  int
	sent  [][]byte
}

func readJSON(tb testing.TB, path string, into any) {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func loadCuts(tb testing.TB) []cut {
	tb.Helper()
	var file struct {
		Segments []struct {
			Payload      string
			Size         int      `json:"segment_size"`
			WirePayloads []string `json:"wire_payloads"`
		}
	}
	readJSON(tb, filepath.Join("..", "..", "testdata", "recordings", "transport", "layers.json"), &file)
	if len(file.Segments) != 6 {
		tb.Fatalf("%d wholes in the file", len(file.Segments))
	}
	var all []cut
	for _, s := range file.Segments {
		c := cut{whole: unhex(tb, s.Payload), size: s.Size}
		for _, sent := range s.WirePayloads {
			c.sent = append(c.sent, unhex(tb, sent))
		}
		all = append(all, c)
	}
	return all
}

// loadSentSegments gives the segments that went over a network in a recorded
// conversation; the envelopes around them are package envelope's.
func loadSentSegments(tb testing.TB) [][]byte {
	tb.Helper()
	var file struct{ Positive []struct{ Payload string } }
	readJSON(tb, filepath.Join("..", "envelope", "testdata", "conversation.json"), &file)
	var sent [][]byte
	for _, e := range file.Positive {
		payload := unhex(tb, e.Payload)
		if _, err := waku.DecodeSegment(payload); err == nil {
			sent = append(sent, payload)
		} else if _, err := wire.Decode(payload); err != nil {
			tb.Fatalf("neither a segment nor a message: %v", err)
		}
	}
	return sent
}

var alice, bob = x3dh.IdentityPublicKey{2, 1}, x3dh.IdentityPublicKey{2, 2}

func newReassembler(tb testing.TB, limits Limits) *Reassembler {
	tb.Helper()
	r, err := NewReassembler(limits)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func decoded(tb testing.TB, encoded []byte) waku.Segment {
	tb.Helper()
	s, err := waku.DecodeSegment(encoded)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestRecordedWholesAreCutByteForByte(t *testing.T) {
	for i, c := range loadCuts(t) {
		got, err := Split(c.whole, c.size)
		if err != nil || !slices.EqualFunc(got, c.sent, bytes.Equal) {
			t.Errorf("whole %d: %d other segments, want %d (%v)", i, len(got), len(c.sent), err)
		}
	}
}

// TestRecordedSegmentsGiveTheWhole leaves out every choice of as many segments as
// there are parity segments, and takes the others from either end.
func TestRecordedSegmentsGiveTheWhole(t *testing.T) {
	tried := 0
	for i, c := range loadCuts(t) {
		if len(c.sent) == 1 {
			if _, err := waku.DecodeSegment(c.sent[0]); err == nil {
				t.Errorf("whole %d, sent as it is, is taken for a segment", i)
			}
			continue
		}
		count := (len(c.whole) + c.size - 1) / c.size
		parity := len(c.sent) - count
		for lost := range uint64(1) << len(c.sent) {
			if bits.OnesCount64(lost) != parity {
				continue
			}
			tried++
			for _, backwards := range []bool{false, true} {
				r := newReassembler(t, DefaultLimits)
				var whole []byte
				for n := range c.sent {
					at := n
					if backwards {
						at = len(c.sent) - 1 - n
					}
					if lost>>at&1 != 0 {
						continue
					}
					got, err := r.Add(1, alice, decoded(t, c.sent[at]))
					if err != nil || whole != nil {
						t.Fatalf("whole %d without %b, segment %d: %v", i, lost, at, err)
					}
					whole = got
				}
				if !bytes.Equal(whole, c.whole) {
					t.Errorf("whole %d without %b: %d bytes", i, lost, len(whole))
				}
			}
		}
	}
	if tried != 1+11+9+10+18*17/2 {
		t.Errorf("%d choices", tried)
	}
}

// TestSentSegmentsGiveAMessage has what went over a real network: 130 000 bytes
// for one device, with messages of at most 20 kB.
func TestSentSegmentsGiveAMessage(t *testing.T) {
	sent := loadSentSegments(t)
	if len(sent) != 10 {
		t.Fatalf("%d segments", len(sent))
	}
	for lost := range sent {
		r := newReassembler(t, DefaultLimits)
		var whole []byte
		for i := range sent {
			if i == lost {
				continue
			}
			got, err := r.Add(1, alice, decoded(t, sent[i]))
			if err != nil {
				t.Fatal(err)
			}
			if got != nil {
				whole = got
			}
		}
		m, err := wire.Decode(whole)
		if err != nil || len(m.Entries) != 1 || len(m.Entries[0].Part.Payload) < 130_000 {
			t.Fatalf("without segment %d: %d bytes (%v)", lost, len(whole), err)
		}
		again, err := Split(whole, Size(20_000))
		// The network had changed the order.
		if err != nil || !slices.EqualFunc(slices.SortedFunc(slices.Values(again), bytes.Compare), slices.SortedFunc(slices.Values(sent), bytes.Compare), bytes.Equal) {
			t.Errorf("without segment %d: cut into other segments (%v)", lost, err)
		}
	}
}
