package wire

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Encode writes a ProtocolMessage: fields in the order of their numbers, maps in
// the order of their keys. The same message always gives the same bytes, those
// that a protobuf library writes deterministically.
//
// Encode checks no limits. It panics when an id is not UTF-8; Decode lets no such
// id in, and own ids are checked where they are made. Of entries with the same
// recipient the last is written.
func (m *Message) Encode() []byte {
	return m.Append(make([]byte, 0, m.room()))
}

// What a message takes besides ids and payloads, in bytes. It is more than
// enough, but for what few messages have.
const (
	messageRoom = 16
	bundleRoom  = 120
	preKeyRoom  = 52
	entryRoom   = 100
	x3dhRoom    = 96
)

// room is about how long the message is when it is written.
func (m *Message) room() int {
	n := messageRoom + len(m.InstallationID) + len(m.Public)
	for i := range m.Bundles {
		n += m.Bundles[i].room()
	}
	for i := range m.Entries {
		n += entryRoom + len(m.Entries[i].Recipient) + len(m.Entries[i].Part.Payload)
		if m.Entries[i].Part.X3DH != nil {
			n += x3dhRoom
		}
	}
	return n
}

func (b *Bundle) room() int {
	n := bundleRoom
	for i := range b.PreKeys {
		n += preKeyRoom + len(b.PreKeys[i].InstallationID)
	}
	return n
}

// Append writes what Encode does behind b.
func (m *Message) Append(b []byte) []byte {
	b = appendID(b, 2, m.InstallationID)
	for i := range m.Bundles {
		inner, start := begin(b, 3)
		b = end(m.Bundles[i].append(inner), start)
	}
	entries := m.Entries
	if !slices.IsSortedFunc(entries, compareRecipients) {
		entries = slices.Clone(entries)
		slices.SortStableFunc(entries, compareRecipients)
	}
	for i := range entries {
		if i+1 < len(entries) && entries[i+1].Recipient == entries[i].Recipient {
			continue
		}
		inner, start := begin(b, 101)
		b = end(entries[i].append(inner), start)
	}
	if m.HasPublic {
		b = appendBytes(b, 102, m.Public)
	}
	return b
}

func compareRecipients(a, b Entry) int { return strings.Compare(a.Recipient, b.Recipient) }

// EncodeBundle writes a Bundle by the rules of Message.Encode.
func EncodeBundle(b Bundle) []byte {
	return b.append(make([]byte, 0, b.room()))
}

func (b *Bundle) append(out []byte) []byte {
	out = appendBytes(out, 1, b.Identity[:])
	preKeys := b.PreKeys
	if !slices.IsSortedFunc(preKeys, compareInstallations) {
		preKeys = slices.Clone(preKeys)
		slices.SortStableFunc(preKeys, compareInstallations)
	}
	for i := range preKeys {
		if i+1 < len(preKeys) && preKeys[i+1].InstallationID == preKeys[i].InstallationID {
			continue
		}
		inner, start := begin(out, 2)
		out = end(preKeys[i].append(inner), start)
	}
	out = appendBytes(out, 4, b.Signature[:])
	return appendNumber(out, 5, uint64(b.Timestamp)) //nolint:gosec // two's complement, as protobuf has it
}

func compareInstallations(a, b SignedPreKey) int {
	return strings.Compare(a.InstallationID, b.InstallationID)
}

// append writes an entry of the map of prekeys.
func (k *SignedPreKey) append(b []byte) []byte {
	b, start := begin(appendKey(b, k.InstallationID), 2)
	b = appendBytes(b, 1, k.Key[:])
	b = appendNumber(b, 2, uint64(k.Version))
	b = appendNumber(b, 3, uint64(k.ProtocolVersion))
	return end(b, start)
}

// append writes an entry of the map of encrypted messages.
func (e *Entry) append(b []byte) []byte {
	b, start := begin(appendKey(b, e.Recipient), 2)
	return end(e.Part.append(b), start)
}

func (p *Part) append(b []byte) []byte {
	if p.X3DH != nil {
		inner, start := begin(b, 1)
		b = end(p.X3DH.append(inner), start)
	}
	if p.DR != nil {
		inner, start := begin(b, 2)
		b = end(p.DR.append(inner), start)
	}
	b = appendBytes(b, 3, p.Payload)
	if p.DH != nil {
		inner, start := begin(b, 101)
		b = end(appendBytes(inner, 1, p.DH.Ephemeral[:]), start)
	}
	if p.HashRatchet {
		b = end(begin(b, 102))
	}
	return b
}

func (h *X3DHHeader) append(b []byte) []byte {
	b = appendBytes(b, 1, h.Ephemeral[:])
	b = appendBytes(b, 4, h.SignedPreKey[:])
	if h.MadeWith == (PreKeyStamp{}) {
		return b
	}
	b, start := begin(b, 1001)
	b = appendBytes(b, 1, h.MadeWith.Key[:])
	b = appendNumber(b, 2, uint64(h.MadeWith.Version))
	b = appendNumber(b, 3, uint64(h.MadeWith.Timestamp)) //nolint:gosec // two's complement
	return end(b, start)
}

func (h *DRHeader) append(b []byte) []byte {
	b = appendBytes(b, 1, h.RatchetKey)
	b = appendNumber(b, 2, uint64(h.N))
	b = appendNumber(b, 3, uint64(h.PN))
	return appendBytes(b, 4, h.SignedPreKey[:])
}

// appendBytes and appendNumber write nothing for an empty value, as proto3 has
// it.
func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, value)
}

func appendNumber(b []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, value)
}

func appendID(b []byte, field protowire.Number, id string) []byte {
	if id == "" {
		return b
	}
	if !utf8.ValidString(id) {
		// Of a copy of the id: else no message that is encoded could stay on the stack.
		panic(fmt.Sprintf("wire: encoding installation id %q, which is not UTF-8", strings.Clone(id)))
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, id)
}

// appendKey writes the key of a map's entry, which is there also when empty.
func appendKey(b []byte, id string) []byte {
	if id == "" {
		return protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.BytesType), 0)
	}
	return appendID(b, 1, id)
}

// longest is how many bytes are kept for the length of an embedded message. The
// rest of them is given back when it is known.
const longest = 5

// begin starts an embedded message; what is appended then belongs to it.
func begin(b []byte, field protowire.Number) (inner []byte, start int) {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return append(b, make([]byte, longest)...), len(b)
}

// end writes the length of what was appended since begin.
func end(b []byte, start int) []byte {
	length := len(b) - start - longest
	prefix := protowire.SizeVarint(uint64(length)) //nolint:gosec // a length
	copy(b[start+prefix:], b[start+longest:])
	protowire.AppendVarint(b[:start], uint64(length)) //nolint:gosec // a length
	return b[:start+prefix+length]
}
