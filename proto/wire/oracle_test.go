package wire

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/proto/wire/internal/wirepb"
)

// fromGenerated reads a message as the generated code understands it.
func fromGenerated(p *wirepb.ProtocolMessage) *Message {
	m := &Message{InstallationID: p.GetInstallationId()}
	for _, b := range p.GetBundles() {
		m.Bundles = append(m.Bundles, bundleFromGenerated(b))
	}
	//nolint:staticcheck // the deprecated field is what is read here
	if old := p.GetBundle(); old != nil && m.Bundles == nil {
		m.Bundles = []Bundle{bundleFromGenerated(old)}
	}
	for _, id := range slices.Sorted(maps.Keys(p.GetEncryptedMessage())) {
		g := p.GetEncryptedMessage()[id]
		part := Part{HashRatchet: g.HashRatchetHeader != nil}
		if len(g.GetPayload()) > 0 {
			part.Payload = g.GetPayload()
		}
		if h := g.GetX3DhHeader(); h != nil {
			part.X3DH = &X3DHHeader{Ephemeral: PublicKey(h.GetEphemeral()), SignedPreKey: PublicKey(h.GetSignedPreKey())}
			if own := h.GetMadeWith(); own != nil {
				part.X3DH.MadeWith = PreKeyStamp{PublicKey(own.GetSignedPreKey()), own.GetVersion(), own.GetTimestamp()}
			}
		}
		if h := g.GetDrHeader(); h != nil {
			part.DR = &DRHeader{h.GetRatchetKey(), h.GetN(), h.GetPn(), PublicKey(h.GetSignedPreKey())}
		}
		if h := g.GetDhHeader(); h != nil {
			part.DH = &DHHeader{PublicKey(h.GetEphemeral())}
		}
		m.Entries = append(m.Entries, Entry{id, part})
	}
	if len(p.GetPublicMessage()) > 0 {
		m.Public, m.HasPublic = p.GetPublicMessage(), true
	}
	return m
}

func bundleFromGenerated(p *wirepb.Bundle) Bundle {
	b := Bundle{
		Identity:  PublicKey(p.GetIdentity()),
		Signature: [65]byte(p.GetSignature()),
		Timestamp: p.GetTimestamp(),
	}
	for _, id := range slices.Sorted(maps.Keys(p.GetSignedPreKeys())) {
		k := p.GetSignedPreKeys()[id]
		b.PreKeys = append(b.PreKeys, SignedPreKey{id, PublicKey(k.GetSignedPreKey()), k.GetVersion(), k.GetProtocolVersion()})
	}
	return b
}

// checkMessage holds the rules of Decode against one input and reports whether
// it was accepted: a refusal is a DecodeError inside the input, and an accepted
// message means the same to the generated code and is a fixed point of encoding
// and decoding.
func checkMessage(t *testing.T, input []byte) bool {
	t.Helper()
	before := bytes.Clone(input)
	m, err := Decode(input)
	if !bytes.Equal(before, input) {
		t.Fatalf("Decode changed its input %x", before)
	}
	if err != nil {
		if m != nil {
			t.Fatalf("a message and an error for %x", input)
		}
		checkRefusal(t, err, input)
		return false
	}
	var p wirepb.ProtocolMessage
	if err := proto.Unmarshal(input, &p); err != nil {
		t.Fatalf("accepted, but the generated code says %v: %x", err, input)
	}
	if want := fromGenerated(&p); !reflect.DeepEqual(m, want) {
		t.Fatalf("input %x\n got %+v\nwant %+v", input, m, want)
	}
	encoded := m.Encode()
	checkEncoding(t, encoded, new(wirepb.ProtocolMessage))
	again, err := Decode(encoded)
	if err != nil {
		t.Fatalf("own encoding refused: %v: %x", err, encoded)
	}
	if !reflect.DeepEqual(again, m) {
		t.Fatalf("input %x\n got %+v\nthen %+v", input, m, again)
	}
	if second := again.Encode(); !bytes.Equal(second, encoded) {
		t.Fatalf("encoded %x\nthen    %x", encoded, second)
	}
	return true
}

// checkEncoding holds that an encoding is the one that the generated code writes.
func checkEncoding(t *testing.T, encoded []byte, p proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(encoded, p); err != nil {
		t.Fatalf("the generated code cannot read %x: %v", encoded, err)
	}
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded, want) {
		t.Fatalf("encoded %x\nwant    %x", encoded, want)
	}
}

// checkBundle does the same for DecodeBundle.
func checkBundle(t *testing.T, input []byte) bool {
	t.Helper()
	b, err := DecodeBundle(input)
	if err != nil {
		checkRefusal(t, err, input)
		return false
	}
	var p wirepb.Bundle
	if err := proto.Unmarshal(input, &p); err != nil {
		t.Fatalf("accepted, but the generated code says %v: %x", err, input)
	}
	if want := bundleFromGenerated(&p); !reflect.DeepEqual(b, want) {
		t.Fatalf("input %x\n got %+v\nwant %+v", input, b, want)
	}
	encoded := EncodeBundle(b)
	checkEncoding(t, encoded, new(wirepb.Bundle))
	again, err := DecodeBundle(encoded)
	if err != nil {
		t.Fatalf("own encoding refused: %v: %x", err, encoded)
	}
	if !reflect.DeepEqual(again, b) {
		t.Fatalf("input %x\n got %+v\nthen %+v", input, b, again)
	}
	return true
}

func checkRefusal(t *testing.T, err error, input []byte) {
	t.Helper()
	var refused *DecodeError
	if !errors.As(err, &refused) {
		t.Fatalf("refused with %T (%v), want *DecodeError", err, err)
	}
	if refused.Field == "" || refused.Reason == nil || refused.Offset < 0 || refused.Offset > len(input) {
		t.Fatalf("refused with %#v for %d bytes of input", refused, len(input))
	}
}
