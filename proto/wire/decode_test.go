package wire

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/proto/wire/internal/wirepb"
)

func TestEmptyMessageDecodesToEmptyMessage(t *testing.T) {
	for _, input := range [][]byte{nil, {}} {
		if m := mustDecode(t, input); !reflect.DeepEqual(m, new(Message)) {
			t.Errorf("got %+v", m)
		}
	}
	if b := new(Message).Encode(); len(b) != 0 {
		t.Errorf("encoded to %x", b)
	}
}

// Spec: 5.conventions.1 5.bundle.1 5.bundle.2 5.bundle.3 5.bundle.4 5.bundle.5 5.protocol-message.2
// Spec: 5.protocol-message.3 5.protocol-message.4 5.protocol-message.5 5.direct-message.1
// Spec: 5.x3dh-header.1 5.x3dh-header.2 5.dr-header.2 5.dr-header.3 5.dr-header.4 5.dr-header.5
// Spec: 5.dh-header.2 5.messaging.2
func TestDecodeReadsEveryField(t *testing.T) {
	curve25519 := bytes.Repeat([]byte{0xee}, 32)
	stamp := join(bytesField(1, point(7)), varintField(2, 2), varintField(3, 1<<64-5))
	input := join(
		textField(2, "sender"),
		bytesField(3, bundle(mapEntry(2, "b", signedPreKey()), mapEntry(2, "a", bytesField(1, point(5))))),
		entry("one", bytesField(1, join(bytesField(1, point(4)), bytesField(4, point(3)), bytesField(1001, stamp))),
			drHeader(bytesField(1, point(6)), varintField(2, 1<<32-1), varintField(3, 8), bytesField(4, point(3))),
			textField(3, "sealed")),
		entry(NoInstallation, bytesField(101, bytesField(1, point(7))), textField(3, "once")),
		entry("fast", drHeader(bytesField(1, curve25519), bytesField(4, point(3)))),
		entry("group", bytesField(102, varintField(2, 9)), textField(3, "hash")),
		textField(102, "for all"),
	)
	want := &Message{
		InstallationID: "sender",
		Bundles: []Bundle{{
			Identity: publicKey(1),
			PreKeys: []SignedPreKey{
				{InstallationID: "a", Key: publicKey(5)},
				{InstallationID: "b", Key: publicKey(3), Version: 7, ProtocolVersion: 1},
			},
			Signature: [65]byte(bytes.Repeat([]byte{9}, 65)),
			Timestamp: 1729728001000000000,
		}},
		Entries: []Entry{
			{"fast", Part{DR: &DRHeader{RatchetKey: curve25519, SignedPreKey: publicKey(3)}}},
			{"group", Part{HashRatchet: true, Payload: []byte("hash")}},
			{"none", Part{DH: &DHHeader{publicKey(7)}, Payload: []byte("once")}},
			{"one", Part{
				X3DH:    &X3DHHeader{publicKey(4), publicKey(3), PreKeyStamp{publicKey(7), 2, -5}},
				DR:      &DRHeader{point(6), 1<<32 - 1, 8, publicKey(3)},
				Payload: []byte("sealed"),
			}},
		},
		Public:    []byte("for all"),
		HasPublic: true,
	}
	if got := mustDecode(t, input); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	checkMessage(t, input)
}

// Spec: 5.conventions.1 5.protocol-message.1 5.protocol-message.2 5.protocol-message.3
// Spec: 5.protocol-message.4 5.protocol-message.5 5.direct-message.1
func TestRecordedMessagesReencodeToTheSameBytes(t *testing.T) {
	messages := loadRecordings(t).messages
	if len(messages) < 2000 {
		t.Fatalf("only %d recorded messages", len(messages))
	}
	for _, r := range messages {
		m, err := Decode(r.bytes)
		if err != nil {
			t.Errorf("%s step %d: %v", r.name, r.step, err)
			continue
		}
		if got, want := m.Encode(), withoutHashRatchetContent(t, r.bytes); !bytes.Equal(got, want) {
			t.Errorf("%s step %d:\n got %x\nwant %x", r.name, r.step, got, want)
		}
		checkMessage(t, r.bytes)
	}
}

// withoutHashRatchetContent empties the headers of which only the presence is
// kept, and leaves every other message as it is.
func withoutHashRatchetContent(t *testing.T, b []byte) []byte {
	t.Helper()
	var p wirepb.ProtocolMessage
	if err := proto.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, part := range p.EncryptedMessage {
		if part.HashRatchetHeader != nil {
			part.HashRatchetHeader, found = []byte{}, true
		}
	}
	if !found {
		return b
	}
	emptied, err := proto.MarshalOptions{Deterministic: true}.Marshal(&p)
	if err != nil {
		t.Fatal(err)
	}
	return emptied
}

// Spec: 5.conventions.1 5.bundle.1 5.bundle.2 5.bundle.3 5.bundle.4 5.bundle.5
func TestRecordedBundlesReencodeToTheSameBytes(t *testing.T) {
	bundles := loadRecordings(t).bundles
	if len(bundles) < 400 {
		t.Fatalf("only %d recorded bundles", len(bundles))
	}
	for _, r := range bundles {
		b, err := DecodeBundle(r.bytes)
		if err != nil {
			t.Errorf("%s step %d: %v", r.name, r.step, err)
			continue
		}
		if got := EncodeBundle(b); !bytes.Equal(got, r.bytes) {
			t.Errorf("%s step %d:\n got %x\nwant %x", r.name, r.step, got, r.bytes)
		}
		checkBundle(t, r.bytes)
	}
}

// What a deployed client could read we can read too, but for a bundle with a
// prekey that is none: it is refused whole here.
func TestMessagesThatTheReferenceAcceptsAreDecoded(t *testing.T) {
	all := loadRecordings(t)
	for _, r := range all.givenMessages {
		if accepted := checkMessage(t, r.bytes); r.accepted && !accepted {
			t.Errorf("%s step %d is refused", r.name, r.step)
		}
	}
	for _, r := range all.givenBundles {
		noKey := r.name == "bundle_verification" && r.step == 15
		if accepted := checkBundle(t, r.bytes); r.accepted && accepted == noKey {
			t.Errorf("%s step %d: accepted is %v", r.name, r.step, accepted)
		}
	}
}

func TestFieldsAndMapEntriesMayComeInAnyOrder(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 0))
	moved := 0
	for _, r := range loadRecordings(t).messages {
		want := mustDecode(t, r.bytes)
		shuffled := shuffle(t, rng, r.bytes)
		if !bytes.Equal(shuffled, r.bytes) {
			moved++
		}
		got, err := Decode(shuffled)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s step %d (seed %d): %v\n got %+v\nwant %+v", r.name, r.step, seed, err, got, want)
		}
	}
	if moved == 0 {
		t.Fatal("no message was shuffled")
	}
}

// shuffle moves the fields of a ProtocolMessage, and those of the bundles in it.
func shuffle(t *testing.T, rng *rand.Rand, b []byte) []byte {
	t.Helper()
	var fields [][]byte
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		field := b[:n]
		if num == 3 && typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(field)
			inner, _ := protowire.ConsumeBytes(field[tag:])
			field = bytesField(3, shuffle(t, rng, inner))
		}
		fields = append(fields, field)
		b = b[n:]
	}
	rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return join(fields...)
}

// Spec: draft.protocol-message.1
func TestDeprecatedBundleIsReadWhenThereIsNoOther(t *testing.T) {
	old := bytesField(1, bundle(mapEntry(2, "old", signedPreKey())))
	current := bytesField(3, bundle(mapEntry(2, "new", signedPreKey())))
	tests := []struct {
		name  string
		input []byte
		want  string
	}{
		{"alone", old, "old"},
		{"before", join(old, current), "new"},
		{"after", join(current, old), "new"},
	}
	for _, test := range tests {
		m := mustDecode(t, test.input)
		if len(m.Bundles) != 1 || m.Bundles[0].PreKeys[0].InstallationID != test.want {
			t.Errorf("%s: got %+v", test.name, m.Bundles)
		}
		if num, _, _ := protowire.ConsumeTag(m.Encode()); num != 3 {
			t.Errorf("%s: written as field %d", test.name, num)
		}
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	unknown := join(varintField(9, 1<<63), fixed32Field(10), fixed64Field(11),
		textField(12, "later"), varintField(protowire.MaxValidNumber, 0))
	plain := join(textField(2, "id"), bytesField(3, bundle()),
		entry("a", drHeader(bytesField(1, point(6)), bytesField(4, point(3)))))
	extended := join(unknown, textField(2, "id"), bytesField(3, join(bundle(), unknown)),
		bytesField(101, join(unknown, textField(1, "a"),
			bytesField(2, join(unknown, drHeader(unknown, bytesField(1, point(6)), bytesField(4, point(3))))))))
	if got, want := mustDecode(t, extended), mustDecode(t, plain); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// An empty public message is none, as proto3 and deployed clients have it.
func TestEmptyPublicMessageIsNone(t *testing.T) {
	if m := mustDecode(t, bytesField(102, nil)); m.HasPublic || m.Public != nil {
		t.Errorf("got %+v", m)
	}
}

func TestPayloadsAliasTheInputWithoutRoomToGrow(t *testing.T) {
	input := join(entry("a", textField(3, "sealed")), textField(102, "public"))
	before := bytes.Clone(input)
	m := mustDecode(t, input)
	_ = append(m.Entries[0].Part.Payload, "over"...)
	if !bytes.Equal(input, before) {
		t.Error("appending to a payload wrote into the input")
	}
	copy(input[len(input)-6:], "PUBLIC")
	if string(m.Public) != "PUBLIC" {
		t.Errorf("public message %q is a copy", m.Public)
	}
}

func TestEncodeDoesNotDependOnTheOrderGiven(t *testing.T) {
	key := SignedPreKey{InstallationID: "k1", Key: publicKey(3), Version: 1}
	other := SignedPreKey{InstallationID: "k2", Key: publicKey(4)}
	one := Entry{"a", Part{Payload: []byte("1")}}
	two := Entry{"b", Part{Payload: []byte("2")}}
	forward := Message{
		Bundles: []Bundle{{Identity: publicKey(1), PreKeys: []SignedPreKey{key, other}}},
		Entries: []Entry{one, two},
	}
	backward := Message{
		Bundles: []Bundle{{Identity: publicKey(1), PreKeys: []SignedPreKey{other, key}}},
		Entries: []Entry{two, one},
	}
	for range 20 { // maps are walked in another order each time
		if a, b := forward.Encode(), backward.Encode(); !bytes.Equal(a, b) {
			t.Fatalf("%x\n%x", a, b)
		}
	}
}

func TestEncodePanicsOnIDThatIsNotUTF8(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	(&Message{InstallationID: "\xff"}).Encode()
}
