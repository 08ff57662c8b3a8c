package record

import "google.golang.org/protobuf/encoding/protowire"

// The methods below write the records that each message needs, as proto.Marshal
// does with fields in the order of their numbers, and without its reflection:
// they are a part of every step of a session.

// Append writes the record behind b.
func (x *Session) Append(b []byte) []byte {
	b = appendNumber(b, 1, uint64(x.Status))
	b = appendBool(b, 2, x.Initiator)
	b = appendBytes(b, 3, x.SignedPreKey)
	b = appendBytes(b, 4, x.Ephemeral)
	b = appendBytes(b, 5, x.Order)
	if x.MadeFrom != nil {
		b = x.MadeFrom.append(b, 6)
	}
	b = appendTime(b, 7, x.Created)
	b = appendTime(b, 8, x.Expired)
	if x.Ratchet != nil {
		b = x.Ratchet.append(b, 9)
	}
	b = appendBool(b, 10, x.Active)
	if x.Own != nil {
		b = x.Own.append(b, 11)
	}
	b = appendBytes(b, 12, x.Seen)
	b = appendBool(b, 13, x.NothingSkipped)
	b = appendBytes(b, 14, x.Others)
	return appendBool(b, 15, x.OthersListed)
}

func (x *BundleStamp) append(b []byte, field protowire.Number) []byte {
	b, start := begin(b, field)
	b = appendTime(b, 1, x.Timestamp)
	b = appendNumber(b, 2, uint64(x.Version))
	b = appendBytes(b, 3, x.SignedPreKey)
	b = appendBool(b, 4, x.BySibling)
	return end(b, start)
}

func (x *Ratchet) append(b []byte, field protowire.Number) []byte {
	b, start := begin(b, field)
	b = appendNumber(b, 1, uint64(x.Suite))
	b = appendBytes(b, 2, x.Root)
	b = appendBytes(b, 3, x.SendKey)
	b = appendNumber(b, 4, uint64(x.SendN))
	b = appendBytes(b, 5, x.RecvKey)
	b = appendNumber(b, 6, uint64(x.RecvN))
	b = appendBytes(b, 7, x.RecvHead)
	b = appendBytes(b, 8, x.SelfPrivate)
	b = appendBytes(b, 9, x.SelfPublic)
	b = appendBytes(b, 10, x.Remote)
	b = appendBool(b, 11, x.SendPending)
	b = appendNumber(b, 12, uint64(x.Pn))
	b = appendNumber(b, 13, x.KeysMade)
	return end(b, start)
}

// Append writes the record behind b.
func (x *SkippedKey) Append(b []byte) []byte {
	b = appendBytes(b, 1, x.Ratchet)
	b = appendNumber(b, 2, uint64(x.N))
	b = appendNumber(b, 3, x.Seq)
	return appendBytes(b, 4, x.Key)
}

// Append writes the record behind b.
func (x *Outbox) Append(b []byte) []byte {
	b = appendBytes(b, 1, x.MessageId)
	b = appendBytes(b, 2, x.Recipient)
	b = appendBytes(b, 3, x.Message)
	return appendTime(b, 4, x.Created)
}

// Append writes the record behind b.
func (x *Inbox) Append(b []byte) []byte {
	b = appendBytes(b, 1, x.MessageId)
	b = appendBytes(b, 2, x.Sender)
	b = appendText(b, 3, x.InstallationId)
	b = appendBytes(b, 4, x.Payload)
	b = appendTime(b, 5, x.Received)
	b = appendBool(b, 6, x.ForwardSecrecy)
	b = appendBytes(b, 7, x.Recipient)
	b = appendBool(b, 8, x.Request)
	return appendText(b, 9, x.Chat)
}

// Append writes the record behind b.
func (x *Contact) Append(b []byte) []byte {
	b = appendBytes(b, 1, x.Identity)
	b = appendTime(b, 2, x.FirstSeen)
	b = appendBool(b, 3, x.ForwardSecrecy)
	for _, hash := range x.DhOnlySeen { // an empty one counts, too
		b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), hash)
	}
	b = appendNumber(b, 5, uint64(x.Standing))
	b = appendBool(b, 6, x.Blocked)
	for _, in := range x.Installations {
		b = in.append(b, 8)
	}
	return appendBool(b, 9, x.Whole)
}

func (x *Installation) append(b []byte, field protowire.Number) []byte {
	b, start := begin(b, field)
	b = appendText(b, 1, x.Id)
	b = appendBytes(b, 2, x.SignedPreKey)
	b = appendNumber(b, 3, uint64(x.Version))
	b = appendNumber(b, 4, uint64(x.ProtocolVersion))
	b = appendTime(b, 5, x.Timestamp)
	b = appendBool(b, 6, x.Enabled)
	b = appendTime(b, 7, x.Active)
	b = appendTime(b, 8, x.FirstSeen)
	b = appendTime(b, 9, x.OmittedSince)
	b = appendBool(b, 10, x.Stale)
	b = appendTime(b, 11, x.Signed)
	b = appendBool(b, 12, x.BySibling)
	b = appendBytes(b, 13, x.Bundle)
	b = appendBool(b, 14, x.Denied)
	b = appendBytes(b, 15, x.Session)
	return end(b, start)
}

// An empty value is not written.

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendText(b []byte, field protowire.Number, value string) []byte {
	if value == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendNumber(b []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}

func appendTime(b []byte, field protowire.Number, ns int64) []byte {
	return appendNumber(b, field, uint64(ns)) //nolint:gosec // two's complement, as protobuf has it
}

func appendBool(b []byte, field protowire.Number, value bool) []byte {
	if !value {
		return b
	}
	return appendNumber(b, field, 1)
}

// longest is the most bytes that the length of an embedded record takes: it is
// shorter than 16 KiB.
const longest = 2

// begin starts an embedded record, with room for its length.
func begin(b []byte, field protowire.Number) (_ []byte, start int) {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return append(b, make([]byte, longest)...), len(b)
}

// end writes the length of what follows start, and closes the gap if it is
// short.
func end(b []byte, start int) []byte {
	length := len(b) - start - longest
	prefix := protowire.SizeVarint(uint64(length)) //nolint:gosec // a length
	copy(b[start+prefix:], b[start+longest:])
	protowire.AppendVarint(b[:start], uint64(length)) //nolint:gosec // a length
	return b[:start+prefix+length]
}
