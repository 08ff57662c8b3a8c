package replay

import (
	"bytes"
	"encoding/hex"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
)

func hexString(b []byte) string { return hex.EncodeToString(b) }

// sameBundle compares the recorder's reading of a bundle with ours, field by
// field.
func sameBundle(p *parsed, b *wire.Bundle) bool {
	if p == nil {
		return false
	}
	return bytes.Equal(p.Identity, b.Identity[:]) && bytes.Equal(p.Signature, b.Signature[:]) &&
		p.Timestamp == b.Timestamp &&
		slices.EqualFunc(p.PreKeys, b.PreKeys, func(x parsedPreKey, k wire.SignedPreKey) bool {
			return x.InstallationID == k.InstallationID && bytes.Equal(x.Key, k.Key[:]) &&
				x.Version == k.Version && x.ProtocolVersion == k.ProtocolVersion
		})
}

// sameMessage compares the recorder's reading of a message with ours.
func sameMessage(p *parsed, m *wire.Message) bool {
	if p == nil || p.InstallationID != m.InstallationID || !bytes.Equal(p.Public, m.Public) {
		return false
	}
	return slices.EqualFunc(p.Bundles, m.Bundles, func(x parsed, b wire.Bundle) bool { return sameBundle(&x, &b) }) &&
		slices.EqualFunc(p.Entries, m.Entries, sameEntry)
}

func sameEntry(x parsedEntry, e wire.Entry) bool {
	part := &e.Part
	if x.InstallationID != e.Recipient || !bytes.Equal(x.Payload, part.Payload) ||
		(x.X3DH == nil) != (part.X3DH == nil) || (x.DR == nil) != (part.DR == nil) ||
		(x.DHKey == nil) != (part.DH == nil) || (x.HR != nil) != part.HashRatchet {
		return false
	}
	if part.X3DH != nil && (!bytes.Equal(x.X3DH.Key, part.X3DH.Ephemeral[:]) || !bytes.Equal(x.X3DH.ID, part.X3DH.SignedPreKey[:])) {
		return false
	}
	if part.DR != nil && (!bytes.Equal(x.DR.Key, part.DR.RatchetKey) || !bytes.Equal(x.DR.ID, part.DR.SignedPreKey[:]) ||
		x.DR.N != part.DR.N || x.DR.PN != part.DR.PN) {
		return false
	}
	return part.DH == nil || bytes.Equal(x.DHKey, part.DH.Ephemeral[:])
}
