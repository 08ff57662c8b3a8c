package wire

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// What a form writes is what Encode writes, byte for byte, whatever changes.
func TestFormWritesWhatEncodeWrites(t *testing.T) {
	x3dh := &X3DHHeader{Ephemeral: publicKey(8), SignedPreKey: publicKey(9)}
	stamped := &X3DHHeader{Ephemeral: publicKey(8), SignedPreKey: publicKey(9), MadeWith: PreKeyStamp{Key: publicKey(5), Version: 300, Timestamp: 1 << 60}}
	bundle := Bundle{Identity: publicKey(1), PreKeys: []SignedPreKey{{InstallationID: "here", Key: publicKey(2), Version: 1, ProtocolVersion: 1}}, Timestamp: 77}
	dr := func(pn uint32) *DRHeader {
		return &DRHeader{RatchetKey: point(7), PN: pn, SignedPreKey: publicKey(9)}
	}
	for _, test := range []struct {
		name string
		m    Message
	}{
		{"one", Message{InstallationID: "here", Bundles: []Bundle{bundle}, Entries: []Entry{{"a", Part{DR: dr(0)}}}}},
		{"initial", Message{InstallationID: "here", Bundles: []Bundle{bundle}, Entries: []Entry{{"a", Part{X3DH: x3dh, DR: dr(3)}}}}},
		{"three", Message{InstallationID: "here", Bundles: []Bundle{bundle, bundle}, Entries: []Entry{
			{"a", Part{X3DH: x3dh, DR: dr(127)}}, {"b", Part{DR: dr(1 << 20)}}, {"c", Part{X3DH: stamped, DR: dr(math.MaxUint32)}},
		}}},
		{"without bundle", Message{InstallationID: "", Entries: []Entry{{"a", Part{DR: dr(0)}}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			form := NewForm(&test.m)
			for _, n := range []uint32{0, 1, 127, 128, 1 << 14, 1 << 21, 1 << 28, math.MaxUint32 - 1} {
				for _, size := range []int{1, 49, 127, 128, 148, 1 << 14, 1 << 21} {
					want := test.m
					want.Entries = slices.Clone(test.m.Entries)
					got := append(bytes.Clone(form.Head()), form.Bundles()...)
					for i := range want.Entries {
						header := *want.Entries[i].Part.DR
						header.N = n + uint32(i)
						want.Entries[i].Part.DR = &header
						want.Entries[i].Part.Payload = bytes.Repeat([]byte{byte(i + 1)}, size)
						got = append(form.AppendEntry(got, i, header.N, size), want.Entries[i].Part.Payload...)
					}
					if !bytes.Equal(got, want.Encode()) {
						t.Errorf("number %d, payload of %d bytes: other bytes", n, size)
					}
				}
			}
		})
	}
}

func TestFormCanBeWrittenWithoutAllocating(t *testing.T) {
	form := NewForm(&Message{InstallationID: "here", Entries: []Entry{{"a", Part{DR: &DRHeader{RatchetKey: point(7), SignedPreKey: publicKey(9)}}}}})
	buf := make([]byte, 0, 400)
	if n := testing.AllocsPerRun(100, func() { _ = form.AppendEntry(append(buf, form.Head()...), 0, 7, 100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
