package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/proto/wire/internal/wirepb"
)

// Encode writes a ProtocolMessage: fields in the order of their numbers, maps in
// the order of their keys. The same message always gives the same bytes.
//
// Encode checks no limits. It panics when an id is not UTF-8; Decode lets no such
// id in, and own ids are checked where they are made. Of entries with the same
// recipient the last is written.
func (m *Message) Encode() []byte {
	p := &wirepb.ProtocolMessage{InstallationId: m.InstallationID}
	if len(m.Bundles) > 0 {
		p.Bundles = make([]*wirepb.Bundle, len(m.Bundles))
		for i := range m.Bundles {
			p.Bundles[i] = m.Bundles[i].generated()
		}
	}
	if len(m.Entries) > 0 {
		p.EncryptedMessage = make(map[string]*wirepb.EncryptedMessageProtocol, len(m.Entries))
		for i := range m.Entries {
			p.EncryptedMessage[m.Entries[i].Recipient] = m.Entries[i].Part.generated()
		}
	}
	if m.HasPublic {
		p.PublicMessage = m.Public
	}
	return marshal(p)
}

// EncodeBundle writes a Bundle by the rules of Message.Encode.
func EncodeBundle(b Bundle) []byte {
	return marshal(b.generated())
}

func marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("wire: encoding %s: %v", m.ProtoReflect().Descriptor().Name(), err))
	}
	return b
}

func (b *Bundle) generated() *wirepb.Bundle {
	g := &wirepb.Bundle{
		Identity:  b.Identity[:],
		Signature: b.Signature[:],
		Timestamp: b.Timestamp,
	}
	if len(b.PreKeys) > 0 {
		g.SignedPreKeys = make(map[string]*wirepb.SignedPreKey, len(b.PreKeys))
	}
	for i := range b.PreKeys {
		k := &b.PreKeys[i]
		g.SignedPreKeys[k.InstallationID] = &wirepb.SignedPreKey{
			SignedPreKey:    k.Key[:],
			Version:         k.Version,
			ProtocolVersion: k.ProtocolVersion,
		}
	}
	return g
}

func (p *Part) generated() *wirepb.EncryptedMessageProtocol {
	g := &wirepb.EncryptedMessageProtocol{Payload: p.Payload}
	if p.X3DH != nil {
		g.X3DhHeader = &wirepb.X3DHHeader{
			Ephemeral:    p.X3DH.Ephemeral[:],
			SignedPreKey: p.X3DH.SignedPreKey[:],
		}
		if own := &p.X3DH.MadeWith; *own != (PreKeyStamp{}) {
			g.X3DhHeader.MadeWith = &wirepb.PreKeyStamp{SignedPreKey: own.Key[:], Version: own.Version, Timestamp: own.Timestamp}
		}
	}
	if p.DR != nil {
		g.DrHeader = &wirepb.DRHeader{
			RatchetKey:   p.DR.RatchetKey,
			N:            p.DR.N,
			Pn:           p.DR.PN,
			SignedPreKey: p.DR.SignedPreKey[:],
		}
	}
	if p.DH != nil {
		g.DhHeader = &wirepb.DHHeader{Ephemeral: p.DH.Ephemeral[:]}
	}
	if p.HashRatchet {
		g.HashRatchetHeader = []byte{}
	}
	return g
}
