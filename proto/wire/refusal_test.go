package wire

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

type refusal struct {
	name   string
	input  []byte
	field  string
	reason error
}

// T22: what does not have the shape of the format is refused, with the place.
func refusals() []refusal {
	dr := func(fields ...[]byte) []byte { return entry("a", drHeader(fields...)) }
	ratchetKey, prekey := bytesField(1, point(6)), bytesField(4, point(3))
	x3dh := func(fields ...[]byte) []byte { return entry("a", bytesField(1, join(fields...))) }
	dh := func(fields ...[]byte) []byte { return entry("a", bytesField(101, join(fields...))) }
	inBundle := func(b []byte) []byte { return bytesField(3, b) }
	wholePart := join(x3dhHeader(), drHeader(ratchetKey, prekey), bytesField(101, bytesField(1, point(4))))
	badPrefix := append([]byte{4}, make([]byte, 32)...)
	identity, signature := bytesField(1, point(1)), bytesField(4, make([]byte, 65))
	uncompressed := append([]byte{4}, make([]byte, 64)...)

	return []refusal{
		{"tag cut off", []byte{0x80}, "ProtocolMessage", ErrMalformed},
		{"field number 0", []byte{0x00, 0x00}, "ProtocolMessage", ErrMalformed},
		{"field number too high", append(protowire.AppendVarint(nil, (uint64(protowire.MaxValidNumber)+1)<<3), 0), "ProtocolMessage", ErrMalformed},
		{"length cut off", []byte{0x12}, "ProtocolMessage", ErrMalformed},
		{"length beyond the end", []byte{0x12, 0x02, 'a'}, "ProtocolMessage", ErrMalformed},
		{"length of 2^63", append([]byte{0x12}, protowire.AppendVarint(nil, 1<<63)...), "ProtocolMessage", ErrMalformed},
		{"varint cut off", []byte{0x48, 0xff}, "ProtocolMessage", ErrMalformed},
		{"varint of 11 bytes", append([]byte{0x48}, bytes.Repeat([]byte{0x80}, 11)...), "ProtocolMessage", ErrMalformed},
		{"fixed32 cut off", []byte{0x4d, 1, 2, 3}, "ProtocolMessage", ErrMalformed},
		{"fixed64 cut off", []byte{0x49, 1, 2, 3, 4, 5, 6, 7}, "ProtocolMessage", ErrMalformed},
		{"wire type 6", []byte{0x4e}, "ProtocolMessage", ErrWireType},
		{"unknown group", group(9, nil), "ProtocolMessage", ErrWireType},
		{"unknown group, deep", bytes.Repeat([]byte{0x4b}, 1<<20), "ProtocolMessage", ErrWireType},
		{"group instead of a bundle", group(3, bundle()), "ProtocolMessage", ErrWireType},
		{"end of a group alone", []byte{0x4c}, "ProtocolMessage", ErrWireType},
		{"damage in a header", entry("a", bytesField(2, []byte{0x0a, 0x50})), "DRHeader", ErrMalformed},
		{"group in a bundle", inBundle(join(bundle(), group(9, nil))), "Bundle", ErrWireType},

		{"sender's id is a number", varintField(2, 1), "ProtocolMessage.installation_id", ErrWireType},
		{"sender's id empty", textField(2, ""), "ProtocolMessage.installation_id", ErrInstallationID},
		{"sender's id is none", textField(2, "none"), "ProtocolMessage.installation_id", ErrInstallationID},
		{"sender's id too long", textField(2, strings.Repeat("x", 101)), "ProtocolMessage.installation_id", ErrInstallationID},
		{"sender's id not UTF-8", textField(2, "a\xc0\x80"), "ProtocolMessage.installation_id", ErrInvalidUTF8},
		{"sender's id twice", join(textField(2, "a"), textField(2, "a")), "ProtocolMessage.installation_id", ErrDuplicateField},
		{"public message is a number", varintField(102, 1), "ProtocolMessage.public_message", ErrWireType},
		{"public message twice", join(textField(102, "a"), textField(102, "b")), "ProtocolMessage.public_message", ErrDuplicateField},
		{"entries are numbers", varintField(101, 1), "ProtocolMessage.encrypted_message", ErrWireType},
		{"bundles are numbers", varintField(3, 1), "ProtocolMessage.bundles", ErrWireType},
		{"deprecated bundle is a number", varintField(1, 1), "ProtocolMessage.bundle", ErrWireType},
		{"deprecated bundle twice", join(bytesField(1, bundle()), bytesField(1, bundle())), "ProtocolMessage.bundle", ErrDuplicateField},
		{"deprecated bundle bad beside a good one", join(bytesField(1, identity), inBundle(bundle())), "Bundle.signature", ErrSignatureLength},

		{"entry empty", bytesField(101, nil), "ProtocolMessage.encrypted_message.key", ErrInstallationID},
		{"recipient missing", bytesField(101, bytesField(2, wholePart)), "ProtocolMessage.encrypted_message.key", ErrInstallationID},
		{"recipient empty", entry("", wholePart), "ProtocolMessage.encrypted_message.key", ErrInstallationID},
		{"recipient too long", entry(strings.Repeat("x", 101), wholePart), "ProtocolMessage.encrypted_message.key", ErrInstallationID},
		{"recipient not UTF-8", entry("\xff", wholePart), "ProtocolMessage.encrypted_message.key", ErrInvalidUTF8},
		{"recipient is a number", bytesField(101, varintField(1, 1)), "ProtocolMessage.encrypted_message.key", ErrWireType},
		{"recipient twice in an entry", bytesField(101, join(textField(1, "a"), textField(1, "b"))), "ProtocolMessage.encrypted_message.key", ErrDuplicateField},
		{"part is a number", bytesField(101, varintField(2, 1)), "ProtocolMessage.encrypted_message.value", ErrWireType},
		{"part twice in an entry", bytesField(101, join(textField(1, "a"), bytesField(2, nil), bytesField(2, nil))), "ProtocolMessage.encrypted_message.value", ErrDuplicateField},
		{"two entries for a recipient", join(entry("a", wholePart), entry("b"), entry("a", wholePart)), "ProtocolMessage.encrypted_message", ErrDuplicateKey},
		{"payload is a number", entry("a", varintField(3, 1)), "EncryptedMessageProtocol.payload", ErrWireType},
		{"payload twice", entry("a", textField(3, "x"), textField(3, "y")), "EncryptedMessageProtocol.payload", ErrDuplicateField},
		{"hash ratchet header is a number", entry("a", varintField(102, 1)), "EncryptedMessageProtocol.hash_ratchet_header", ErrWireType},
		{"hash ratchet header twice", entry("a", bytesField(102, nil), bytesField(102, nil)), "EncryptedMessageProtocol.hash_ratchet_header", ErrDuplicateField},

		{"X3DH header is a number", entry("a", varintField(1, 1)), "EncryptedMessageProtocol.x3dh_header", ErrWireType},
		{"X3DH header twice", entry("a", x3dhHeader(), x3dhHeader()), "EncryptedMessageProtocol.x3dh_header", ErrDuplicateField},
		{"X3DH header empty", x3dh(), "X3DHHeader.ephemeral", ErrKeyLength},
		{"X3DH ephemeral key short", x3dh(bytesField(1, point(4)[:32]), prekey), "X3DHHeader.ephemeral", ErrKeyLength},
		{"X3DH ephemeral key uncompressed", x3dh(bytesField(1, uncompressed), prekey), "X3DHHeader.ephemeral", ErrKeyLength},
		{"X3DH ephemeral key with prefix 4", x3dh(bytesField(1, badPrefix), prekey), "X3DHHeader.ephemeral", ErrKeyPrefix},
		{"X3DH prekey missing", x3dh(bytesField(1, point(4))), "X3DHHeader.signed_pre_key", ErrKeyLength},
		{"X3DH prekey long", x3dh(bytesField(1, point(4)), bytesField(4, append(point(3), 0))), "X3DHHeader.signed_pre_key", ErrKeyLength},
		{"X3DH own prekey empty", x3dh(bytesField(1, point(4)), prekey, bytesField(1001, nil)), "PreKeyStamp.signed_pre_key", ErrKeyLength},
		{"X3DH own prekey short", x3dh(bytesField(1, point(4)), prekey, bytesField(1001, bytesField(1, point(7)[:32]))), "PreKeyStamp.signed_pre_key", ErrKeyLength},
		{"X3DH own prekey is a number", x3dh(bytesField(1, point(4)), prekey, varintField(1001, 1)), "X3DHHeader.made_with", ErrWireType},
		{"X3DH prekey is a number", x3dh(varintField(4, 1)), "X3DHHeader.signed_pre_key", ErrWireType},

		{"ratchet header is a number", entry("a", varintField(2, 1)), "EncryptedMessageProtocol.dr_header", ErrWireType},
		{"ratchet header twice", entry("a", drHeader(ratchetKey, prekey), drHeader()), "EncryptedMessageProtocol.dr_header", ErrDuplicateField},
		{"ratchet key missing", dr(prekey), "DRHeader.ratchet_key", ErrKeyLength},
		{"ratchet key empty", dr(bytesField(1, nil), prekey), "DRHeader.ratchet_key", ErrKeyLength},
		{"ratchet key of 31 bytes", dr(bytesField(1, point(6)[:31]), prekey), "DRHeader.ratchet_key", ErrKeyLength},
		{"ratchet key of 34 bytes", dr(bytesField(1, append(point(6), 0)), prekey), "DRHeader.ratchet_key", ErrKeyLength},
		{"ratchet key with prefix 4", dr(bytesField(1, badPrefix), prekey), "DRHeader.ratchet_key", ErrKeyPrefix},
		{"ratchet key is a number", dr(varintField(1, 1), prekey), "DRHeader.ratchet_key", ErrWireType},
		{"ratchet header without prekey", dr(ratchetKey), "DRHeader.signed_pre_key", ErrKeyLength},
		{"n of 2^32", dr(ratchetKey, varintField(2, 1<<32), prekey), "DRHeader.n", ErrRange},
		{"n twice", dr(ratchetKey, varintField(2, 1), varintField(2, 1), prekey), "DRHeader.n", ErrDuplicateField},
		{"n is not a varint", dr(ratchetKey, fixed32Field(2), prekey), "DRHeader.n", ErrWireType},
		{"pn of 2^64-1", dr(ratchetKey, varintField(3, 1<<64-1), prekey), "DRHeader.pn", ErrRange},

		{"DH header is a number", entry("a", varintField(101, 1)), "EncryptedMessageProtocol.dh_header", ErrWireType},
		{"DH header twice", entry("a", wholePart, bytesField(101, nil)), "EncryptedMessageProtocol.dh_header", ErrDuplicateField},
		{"DH header empty", dh(), "DHHeader.ephemeral", ErrKeyLength},
		{"DH ephemeral key with prefix 0", dh(bytesField(1, make([]byte, 33))), "DHHeader.ephemeral", ErrKeyPrefix},

		{"bundle empty", inBundle(nil), "Bundle.identity", ErrKeyLength},
		{"identity short", inBundle(join(bytesField(1, point(1)[:32]), signature)), "Bundle.identity", ErrKeyLength},
		{"identity twice", inBundle(join(identity, bundle())), "Bundle.identity", ErrDuplicateField},
		{"identity with prefix 4", inBundle(join(bytesField(1, badPrefix), signature)), "Bundle.identity", ErrKeyPrefix},
		{"signature missing", inBundle(identity), "Bundle.signature", ErrSignatureLength},
		{"signature of 64 bytes", inBundle(join(identity, bytesField(4, make([]byte, 64)))), "Bundle.signature", ErrSignatureLength},
		{"signature of 66 bytes", inBundle(join(identity, bytesField(4, make([]byte, 66)))), "Bundle.signature", ErrSignatureLength},
		{"signature is a number", inBundle(join(identity, varintField(4, 1))), "Bundle.signature", ErrWireType},
		{"timestamp twice", inBundle(join(bundle(), varintField(5, 1))), "Bundle.timestamp", ErrDuplicateField},
		{"timestamp is not a varint", inBundle(join(identity, signature, fixed64Field(5))), "Bundle.timestamp", ErrWireType},

		{"prekeys are numbers", inBundle(bundle(varintField(2, 1))), "Bundle.signed_pre_keys", ErrWireType},
		{"prekey entry empty", inBundle(bundle(bytesField(2, nil))), "Bundle.signed_pre_keys.key", ErrInstallationID},
		{"prekey without installation", inBundle(bundle(bytesField(2, bytesField(2, signedPreKey())))), "Bundle.signed_pre_keys.key", ErrInstallationID},
		{"prekey of the installation none", inBundle(bundle(mapEntry(2, "none", signedPreKey()))), "Bundle.signed_pre_keys.key", ErrInstallationID},
		{"prekey's installation not UTF-8", inBundle(bundle(mapEntry(2, "\xed\xa0\x80", signedPreKey()))), "Bundle.signed_pre_keys.key", ErrInvalidUTF8},
		{"installation without prekey", inBundle(bundle(bytesField(2, textField(1, "a")))), "Bundle.signed_pre_keys.value", ErrKeyLength},
		{"installation with empty prekey", inBundle(bundle(mapEntry(2, "a", nil))), "SignedPreKey.signed_pre_key", ErrKeyLength},
		{"prekey short", inBundle(bundle(mapEntry(2, "a", bytesField(1, point(3)[:20])))), "SignedPreKey.signed_pre_key", ErrKeyLength},
		{"prekey with prefix 4", inBundle(bundle(mapEntry(2, "a", bytesField(1, badPrefix)))), "SignedPreKey.signed_pre_key", ErrKeyPrefix},
		{"version of 2^32", inBundle(bundle(mapEntry(2, "a", join(bytesField(1, point(3)), varintField(2, 1<<32))))), "SignedPreKey.version", ErrRange},
		{"protocol version of 2^32", inBundle(bundle(mapEntry(2, "a", join(bytesField(1, point(3)), varintField(3, 1<<32))))), "SignedPreKey.protocol_version", ErrRange},
		{"version twice", inBundle(bundle(mapEntry(2, "a", join(signedPreKey(), varintField(2, 7))))), "SignedPreKey.version", ErrDuplicateField},
		{"two prekeys of an installation", inBundle(bundle(mapEntry(2, "a", signedPreKey()), mapEntry(2, "a", signedPreKey()))), "Bundle.signed_pre_keys", ErrDuplicateKey},
		{"prekey twice in an entry", inBundle(bundle(bytesField(2, join(textField(1, "a"), bytesField(2, signedPreKey()), bytesField(2, signedPreKey()))))), "Bundle.signed_pre_keys.value", ErrDuplicateField},
	}
}

// T22: see refusals.
func TestDecodeRefusesWhatHasNotTheShape(t *testing.T) {
	for _, test := range refusals() {
		t.Run(test.name, func(t *testing.T) {
			m, err := Decode(test.input)
			var refused *DecodeError
			if !errors.As(err, &refused) {
				t.Fatalf("got %+v, %v", m, err)
			}
			if refused.Field != test.field || !errors.Is(err, test.reason) {
				t.Errorf("got %v, want %s: %v", err, test.field, test.reason)
			}
			checkRefusal(t, err, test.input)
		})
	}
}

// T48: the text has the name of a field, an offset and a fixed reason.
func TestErrorsSayNothingOfTheContent(t *testing.T) {
	form := regexp.MustCompile(`^wire: [A-Za-z0-9_.]+ at byte [0-9]+: ([A-Za-z0-9 -]+)$`)
	for _, test := range refusals() {
		_, err := Decode(test.input)
		if found := form.FindStringSubmatch(err.Error()); found == nil || found[1] != test.reason.Error() {
			t.Errorf("%s: %q", test.name, err)
		}
	}
}

func TestErrorsPointAtTheField(t *testing.T) {
	marker := textField(1, "wrong length")
	tests := []struct {
		name  string
		input []byte
	}{
		{"ratchet key", join(textField(2, "id"), entry("a", drHeader(varintField(2, 1), marker)))},
		{"X3DH ephemeral key", join(entry("a"), entry("b", bytesField(1, marker)))},
		{"identity", join(textField(2, "id"), bytesField(3, marker))},
		{"prekey", bytesField(3, bundle(mapEntry(2, "a", marker)))},
	}
	for _, test := range tests {
		_, err := Decode(test.input)
		var refused *DecodeError
		if !errors.As(err, &refused) || refused.Offset != bytes.Index(test.input, marker) {
			t.Errorf("%s: %v, want byte %d", test.name, err, bytes.Index(test.input, marker))
		}
	}
}

// T20: how short a payload may be is for who opens it; no length is refused or
// panics here.
func TestPayloadsOfEveryLengthAreDecoded(t *testing.T) {
	for n := range 201 {
		m := mustDecode(t, entry("a", bytesField(3, make([]byte, n))))
		if len(m.Entries[0].Part.Payload) != n {
			t.Errorf("%d bytes became %d", n, len(m.Entries[0].Part.Payload))
		}
	}
}

// T19: every beginning of a whole message is a message or a refusal.
func TestTruncatedMessagesAreRefusedOrWhole(t *testing.T) {
	input := join(textField(2, "id"), bytesField(3, bundle(mapEntry(2, "a", signedPreKey()))),
		entry("a", x3dhHeader(), drHeader(bytesField(1, point(6)), bytesField(4, point(3))), textField(3, "sealed")))
	accepted := 0
	for n := range input {
		if checkMessage(t, input[:n]) {
			accepted++
		}
	}
	if accepted != 3 { // empty, after the id, after the bundle
		t.Errorf("%d beginnings accepted", accepted)
	}
}
