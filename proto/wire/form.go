package wire

import "google.golang.org/protobuf/encoding/protowire"

// Form is a message for ratchet sessions, prepared for being written many times
// with other numbers and other payloads: what does not change is encoded once.
// What it writes is what Message.Encode writes of the same message. For one
// goroutine at a time.
type Form struct {
	head    []byte // the sender's installation
	bundles []byte
	entries []formEntry
}

// formEntry is one recipient's part up to its number, and after it.
type formEntry struct {
	recipient []byte // the key of the map entry
	x3dh      []byte
	ratchet   []byte // the DR header before its number
	rest      []byte // the DR header after its number

	// What was written last before and after the number, and for which lengths.
	before, after   []byte
	number, payload int
}

// The fields of protocol.proto that a Form writes itself.
const (
	fieldMapKey   protowire.Number = 1
	fieldMapValue protowire.Number = 2
	fieldEntry    protowire.Number = 101 // of ProtocolMessage
	fieldX3DH     protowire.Number = 1   // of EncryptedMessageProtocol
	fieldDR       protowire.Number = 2
	fieldPayload  protowire.Number = 3
	fieldKey      protowire.Number = 1 // of DRHeader
	fieldN        protowire.Number = 2
	fieldPN       protowire.Number = 3
	fieldPreKey   protowire.Number = 4
)

// NewForm prepares a message. Its entries are in the order of Message.Entries,
// each with a DR header and no other but X3DH; numbers and payloads in it are
// not looked at, nor is a public payload.
func NewForm(m *Message) *Form {
	f := &Form{head: (&Message{InstallationID: m.InstallationID}).Encode()}
	f.bundles = (&Message{Bundles: m.Bundles}).Encode()
	for i := range m.Entries {
		part := &m.Entries[i].Part
		e := formEntry{recipient: appendBytes(nil, fieldMapKey, []byte(m.Entries[i].Recipient))}
		if part.X3DH != nil {
			inner, start := begin(nil, fieldX3DH)
			e.x3dh = end(part.X3DH.append(inner), start)
		}
		e.ratchet = appendBytes(nil, fieldKey, part.DR.RatchetKey)
		e.rest = appendNumber(nil, fieldPN, uint64(part.DR.PN))
		e.rest = appendBytes(e.rest, fieldPreKey, part.DR.SignedPreKey[:])
		f.entries = append(f.entries, e)
	}
	return f
}

// Head is the start of the message: its sender's installation.
func (f *Form) Head() []byte { return f.head }

// Bundles is what follows the head.
func (f *Form) Bundles() []byte { return f.bundles }

// AppendEntry appends all of an entry but its payload, which is to follow and is
// that many bytes long, at least 1. n is the number in its DR header.
func (f *Form) AppendEntry(dst []byte, entry int, n uint32, payload int) []byte {
	e := &f.entries[entry]
	if number := sizeNumber(n); e.payload != payload || e.number != number {
		e.lay(number, payload)
	}
	dst = append(dst, e.before...)
	dst = appendNumber(dst, fieldN, uint64(n))
	return append(dst, e.after...)
}

// lay writes all that stays the same while the lengths do.
func (e *formEntry) lay(number, payload int) {
	dr := len(e.ratchet) + number + len(e.rest)
	part := len(e.x3dh) + sizeBytes(fieldDR, dr) + sizeBytes(fieldPayload, payload)
	b := make([]byte, 0, 16+len(e.recipient)+len(e.x3dh)+dr)
	b = appendLength(b, fieldEntry, len(e.recipient)+sizeBytes(fieldMapValue, part))
	b = append(b, e.recipient...)
	b = appendLength(b, fieldMapValue, part)
	b = append(b, e.x3dh...)
	b = appendLength(b, fieldDR, dr)
	b = append(b, e.ratchet...)
	split := len(b)
	b = appendLength(append(b, e.rest...), fieldPayload, payload)
	e.before, e.after = b[:split], b[split:]
	e.number, e.payload = number, payload
}

func appendLength(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n)) //nolint:gosec // a length
}

func sizeBytes(field protowire.Number, n int) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(n)
}

func sizeNumber(n uint32) int {
	if n == 0 {
		return 0
	}
	return protowire.SizeTag(fieldN) + protowire.SizeVarint(uint64(n))
}
