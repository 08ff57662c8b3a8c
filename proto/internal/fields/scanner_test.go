package fields

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

type refusal struct {
	field  string
	offset int
	reason error
}

func (r refusal) Error() string { return fmt.Sprintf("%s at %d: %v", r.field, r.offset, r.reason) }

func refuse(field string, offset int, reason error) error { return refusal{field, offset, reason} }

func bytesField(num protowire.Number, value ...byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), value)
}

// read knows the fields 1 (a number), 2 (a message of the same type), 3 (bytes)
// and 4 (messages); every message has a 1.
func read(s Scanner) error {
	for s.Next() {
		switch s.Num {
		case 1:
			s.Uint32("number")
		case 2:
			s.Err = read(s.Single("one", "Inner"))
		case 3:
			s.Bytes("bytes")
		case 4:
			s.Err = read(s.Element("many", "Inner"))
		}
	}
	s.Require(1, "number", errMissing)
	return s.Err
}

var errMissing = errors.New("missing")

// T22: what every format refuses, at the byte of the input where it begins.
func TestRefusalsSayWhereInTheInput(t *testing.T) {
	number := []byte{0x08, 7}
	in := func(num protowire.Number, b ...byte) []byte { return append(number, bytesField(num, b...)...) }
	tests := []struct {
		name  string
		input []byte
		want  refusal
	}{
		{"too large", make([]byte, 101), refusal{"Outer", 0, ErrTooLarge}},
		{"cut off", []byte{0x08, 7, 0x1a, 5}, refusal{"Outer", 2, ErrMalformed}},
		{"cut off inside", in(2, 0x08, 7, 0x1a, 5), refusal{"Inner", 6, ErrMalformed}},
		{"group", []byte{0x08, 7, 0x4b, 0x4c}, refusal{"Outer", 2, ErrWireType}},
		{"message that is a number", []byte{0x08, 7, 0x10, 1}, refusal{"Outer.one", 2, ErrWireType}},
		{"one of many that is a number", []byte{0x08, 7, 0x20, 1}, refusal{"Outer.many", 2, ErrWireType}},
		{"number that is text", bytesField(1, 'x'), refusal{"Outer.number", 0, ErrWireType}},
		{"number twice", append(number, number...), refusal{"Outer.number", 2, ErrDuplicateField}},
		{"number twice inside", in(4, 0x08, 7, 0x08, 7), refusal{"Inner.number", 6, ErrDuplicateField}},
		{"message twice", append(in(2, number...), bytesField(2, number...)...), refusal{"Outer.one", 6, ErrDuplicateField}},
		{"number of 33 bits", protowire.AppendVarint([]byte{0x08}, 1<<32), refusal{"Outer.number", 0, ErrRange}},
		{"number missing inside", in(4), refusal{"Inner.number", 4, errMissing}},
		{"the first of two", []byte{0x08, 7, 0x08, 7, 0x1a, 5}, refusal{"Outer.number", 2, ErrDuplicateField}},
	}
	for _, test := range tests {
		if got := read(Scan("Outer", test.input, 100, refuse)); got != test.want { //nolint:errorlint // its place too
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	several := append(in(4, number...), bytesField(4, number...)...)
	if err := read(Scan("Outer", append(several, bytesField(99)...), 100, refuse)); err != nil {
		t.Errorf("several of many and an unknown field: %v", err)
	}
}

// TestBytesEndWithTheField appends to a value, which lies in the input.
func TestBytesEndWithTheField(t *testing.T) {
	input := append(bytesField(3, 'x'), 0x08, 7)
	s := Scan("Outer", input, 100, refuse)
	s.Next()
	value := s.Bytes("bytes")
	_ = append(value, 0xff)
	if string(value) != "x" || &value[0] != &input[2] || input[3] != 0x08 {
		t.Errorf("%q, then %x", value, input)
	}
}
