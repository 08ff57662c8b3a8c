package waku

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rookery-im/rookery/proto/waku/internal/wakupb"
)

func messageToGenerated(m Message) *wakupb.WakuMessage {
	p := &wakupb.WakuMessage{
		Payload: m.Payload, ContentTopic: m.ContentTopic, Version: m.Version, Timestamp: m.Timestamp,
		Meta: m.Meta, RateLimitProof: m.RateLimitProof,
	}
	if m.HasEphemeral || m.Ephemeral {
		p.Ephemeral = proto.Bool(m.Ephemeral)
	}
	return p
}

func messageFromGenerated(p *wakupb.WakuMessage) Message {
	return Message{
		Payload: p.GetPayload(), ContentTopic: p.GetContentTopic(), Version: p.GetVersion(), Timestamp: p.GetTimestamp(),
		Meta: p.Meta, RateLimitProof: p.RateLimitProof, Ephemeral: p.GetEphemeral(), HasEphemeral: p.Ephemeral != nil,
	}
}

func segmentToGenerated(s Segment) *wakupb.SegmentMessage {
	return &wakupb.SegmentMessage{
		EntireMessageHash: s.Hash[:], Index: s.Index, SegmentsCount: s.Count, Payload: s.Payload,
		ParitySegmentIndex: s.ParityIndex, ParitySegmentsCount: s.ParityCount,
	}
}

func marshal(tb rapid.TB, m proto.Message) []byte {
	tb.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// checkMessage: what is accepted is understood as the generated code does, and is
// a fixed point.
func checkMessage(tb rapid.TB, input []byte) {
	tb.Helper()
	m, err := DecodeMessage(input)
	if err != nil {
		if !sameMessage(m, Message{}) {
			tb.Fatalf("something is returned with the error %v", err)
		}
		return
	}
	var p wakupb.WakuMessage
	if err := proto.Unmarshal(input, &p); err != nil {
		tb.Fatalf("accepted, and refused by the generated code: %v", err)
	}
	if want := messageFromGenerated(&p); !sameMessage(m, want) {
		tb.Fatalf("read %+v, the generated code %+v", m, want)
	}
	written, err := m.Encode()
	if err != nil {
		if len(input) <= MaxSentSize {
			tb.Fatalf("what was read cannot be written: %v", err)
		}
		return
	}
	if want := marshal(tb, messageToGenerated(m)); !bytes.Equal(written, want) {
		tb.Fatalf("written %x, the generated code %x", written, want)
	}
	if again, err := DecodeMessage(written); err != nil || !sameMessage(again, m) {
		tb.Fatalf("read again %+v (%v), before %+v", again, err, m)
	}
}

func sameSegment(a, b Segment) bool {
	return a.Hash == b.Hash && a.Index == b.Index && a.Count == b.Count && bytes.Equal(a.Payload, b.Payload) &&
		a.ParityIndex == b.ParityIndex && a.ParityCount == b.ParityCount
}

// checkSegment is checkMessage for segments.
func checkSegment(tb rapid.TB, input []byte) {
	tb.Helper()
	s, err := DecodeSegment(input)
	if err != nil {
		if !sameSegment(s, Segment{}) {
			tb.Fatalf("something is returned with the error %v", err)
		}
		return
	}
	var p wakupb.SegmentMessage
	if err := proto.Unmarshal(input, &p); err != nil {
		tb.Fatalf("accepted, and refused by the generated code: %v", err)
	}
	want := Segment{
		Hash: [32]byte(p.GetEntireMessageHash()), Index: p.GetIndex(), Count: p.GetSegmentsCount(), Payload: p.GetPayload(),
		ParityIndex: p.GetParitySegmentIndex(), ParityCount: p.GetParitySegmentsCount(),
	}
	if !sameSegment(s, want) {
		tb.Fatalf("read %+v, the generated code %+v", s, want)
	}
	written := s.Encode()
	if want := marshal(tb, segmentToGenerated(s)); !bytes.Equal(written, want) {
		tb.Fatalf("written %x, the generated code %x", written, want)
	}
	if again, err := DecodeSegment(written); err != nil || !sameSegment(again, s) {
		tb.Fatalf("read again %+v (%v), before %+v", again, err, s)
	}
}

// T19: no panic; accepted or refused by the rules of checkMessage.
func FuzzDecodeMessage(f *testing.F) {
	for _, r := range loadRecorded(f) {
		f.Add(r.protobuf)
	}
	for _, r := range refusedMessages() {
		if len(r.input) < 2<<10 {
			f.Add(r.input)
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) { checkMessage(t, input) })
}

// T19: as FuzzDecodeMessage.
func FuzzDecodeSegment(f *testing.F) {
	f.Add(segment(varintField(2, 1), varintField(3, 2)))
	f.Add(segment(varintField(5, 1), varintField(6, 2)))
	for _, r := range refusedSegments() {
		if len(r.input) < 2<<10 {
			f.Add(r.input)
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) { checkSegment(t, input) })
}

func TestMessagesSurviveTheWire(t *testing.T) {
	optional := rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOfN(rapid.Byte(), 0, MaxMetaLength))
	rapid.Check(t, func(rt *rapid.T) {
		m := Message{
			Payload:        rapid.SliceOf(rapid.Byte()).Draw(rt, "payload"),
			ContentTopic:   rapid.StringN(-1, -1, MaxTopicLength).Draw(rt, "topic"),
			Version:        rapid.Uint32().Draw(rt, "version"),
			Timestamp:      rapid.Int64().Draw(rt, "timestamp"),
			Meta:           optional.Draw(rt, "meta"),
			RateLimitProof: optional.Draw(rt, "proof"),
			HasEphemeral:   rapid.Bool().Draw(rt, "has ephemeral"),
		}
		m.Ephemeral = m.HasEphemeral && rapid.Bool().Draw(rt, "ephemeral")
		b, err := m.Encode()
		if err != nil {
			rt.Fatal(err)
		}
		got, err := DecodeMessage(b)
		if err != nil || !sameMessage(got, m) {
			rt.Fatalf("sent %+v, read %+v (%v)", m, got, err)
		}
		checkMessage(rt, b)
	})
}

func TestSegmentsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.Uint32()
		s := Segment{
			Hash:  [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "hash")),
			Index: number.Draw(rt, "index"), Count: number.Draw(rt, "count"),
			Payload:     rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(rt, "payload"),
			ParityIndex: number.Draw(rt, "parity index"), ParityCount: number.Draw(rt, "parity count"),
		}
		got, err := DecodeSegment(s.Encode())
		if err != nil || !sameSegment(got, s) {
			rt.Fatalf("sent %+v, read %+v (%v)", s, got, err)
		}
		checkSegment(rt, s.Encode())
	})
}
