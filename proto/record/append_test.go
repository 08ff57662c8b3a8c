package record

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestAppendWritesWhatTheLibraryWrites fills the records at random, so that a
// field which is added and not written shows.
func TestAppendWritesWhatTheLibraryWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, empty := range []interface {
		proto.Message
		Append(b []byte) []byte
	}{&Session{}, &SkippedKey{}, &Outbox{}, &Inbox{}, &Contact{}} {
		name := empty.ProtoReflect().Descriptor().Name()
		for range 500 {
			proto.Reset(empty)
			fill(empty.ProtoReflect(), random)
			want, err := proto.MarshalOptions{Deterministic: true}.Marshal(empty)
			if err != nil {
				t.Fatal(err)
			}
			got := empty.Append([]byte("before"))
			if !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Fatalf("%s %v:\n got %x\nwant %x", name, empty, got[len("before"):], want)
			}
		}
	}
}

// fill sets about half of the fields, some of them to values that are not
// written.
func fill(m protoreflect.Message, random *rand.Rand) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if random.IntN(2) == 0 {
			continue
		}
		if field.IsList() {
			fillList(m.Mutable(field).List(), field.Kind(), random)
			continue
		}
		switch field.Kind() {
		case protoreflect.MessageKind:
			fill(m.Mutable(field).Message(), random)
		case protoreflect.BytesKind:
			m.Set(field, protoreflect.ValueOfBytes(bytes.Repeat([]byte{7}, random.IntN(200))))
		case protoreflect.StringKind:
			m.Set(field, protoreflect.ValueOfString(string(bytes.Repeat([]byte{'a'}, random.IntN(200)))))
		case protoreflect.BoolKind:
			m.Set(field, protoreflect.ValueOfBool(random.IntN(2) == 0))
		case protoreflect.Uint32Kind:
			m.Set(field, protoreflect.ValueOfUint32(random.Uint32()>>random.IntN(32)))
		case protoreflect.Uint64Kind:
			m.Set(field, protoreflect.ValueOfUint64(random.Uint64()>>random.IntN(64)))
		case protoreflect.Int64Kind:
			m.Set(field, protoreflect.ValueOfInt64(int64(random.Uint64())>>random.IntN(64)))
		default:
			panic("a kind of field that is not filled: " + field.Kind().String())
		}
	}
}

// fillList adds up to three elements, some of them empty.
func fillList(list protoreflect.List, kind protoreflect.Kind, random *rand.Rand) {
	for range random.IntN(4) {
		switch kind {
		case protoreflect.MessageKind:
			fill(list.AppendMutable().Message(), random)
		case protoreflect.BytesKind:
			list.Append(protoreflect.ValueOfBytes(bytes.Repeat([]byte{7}, random.IntN(40))))
		default:
			panic("a kind of list that is not filled: " + kind.String())
		}
	}
}
