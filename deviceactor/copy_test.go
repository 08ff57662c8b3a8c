package deviceactor

import (
	"bytes"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// marked is the payload of a message that looks like a copy.
func marked(tb testing.TB, r *record.Copy) []byte {
	tb.Helper()
	b, err := proto.Marshal(r)
	if err != nil {
		tb.Fatal(err)
	}
	return append(bytes.Clone(copyMark), b...)
}

func encodedCopy(tb testing.TB, c Copy) []byte {
	tb.Helper()
	b, err := c.encode()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestCopyComesBackFromItsPayload(t *testing.T) {
	for name, c := range map[string]Copy{
		"of a message": {Recipient: peer, ID: MessageID{1, 2}, Payload: []byte("x")},
		"a note":       {Recipient: peer, Payload: []byte("x")},
		"of a copy":    {Recipient: peer, ID: MessageID{1}, Payload: encodedCopy(t, Copy{Recipient: peer, Payload: []byte("x")})},
	} {
		got, ok := DecodeCopy(encodedCopy(t, c))
		if !ok || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: got %+v, %v", name, got, ok)
		}
	}
	if !bytes.HasPrefix(copyMark, []byte("rookery-copy\x00")) || bytes.HasSuffix(encodedCopy(t, Copy{}), copyMark) {
		t.Errorf("the mark is %q", copyMark)
	}
}

// What another implementation sends to its own devices is no copy, and what only
// looks like one neither: it is a message like any other.
// Spec: 5.pairing.7
func TestPayloadWithoutAWholeCopyIsAPlainMessage(t *testing.T) {
	id := bytes.Repeat([]byte{1}, 32)
	good := marked(t, &record.Copy{Recipient: peer[:], MessageId: id, Payload: []byte("x")})
	for name, payload := range map[string][]byte{
		"nothing":                {},
		"another payload":        []byte("hello"),
		"the mark":               copyMark,
		"without the mark":       good[len(copyMark):],
		"another version":        append([]byte("rookery-copy\x00\x02"), good[len(copyMark):]...),
		"no record":              append(bytes.Clone(copyMark), 0xff),
		"cut off":                good[:len(good)-1],
		"no recipient":           marked(t, &record.Copy{MessageId: id, Payload: []byte("x")}),
		"half a recipient":       marked(t, &record.Copy{Recipient: peer[:32], MessageId: id, Payload: []byte("x")}),
		"too long a recipient":   marked(t, &record.Copy{Recipient: append(peer[:], 1), MessageId: id, Payload: []byte("x")}),
		"half an id":             marked(t, &record.Copy{Recipient: peer[:], MessageId: id[:31], Payload: []byte("x")}),
		"too long an id":         marked(t, &record.Copy{Recipient: peer[:], MessageId: append(id, 1), Payload: []byte("x")}),
		"no payload":             marked(t, &record.Copy{Recipient: peer[:], MessageId: id}),
		"the mark in the middle": append([]byte("x"), good...),
	} {
		if c, ok := DecodeCopy(payload); ok {
			t.Errorf("%s: %+v", name, c)
		}
		r := Reading{Message: &wire.Message{InstallationID: "a"}, kind: ratchets}
		if m := ours.received(here, r, payload, 5); !bytes.Equal(m.Payload, payload) || m.Recipient != here.Own {
			t.Errorf("%s: received %+v", name, m)
		}
	}
}

// Only our own devices can say what we have sent.
func TestCopyOfAContactIsAPlainMessage(t *testing.T) {
	payload := encodedCopy(t, Copy{Recipient: x3dh.IdentityPublicKey{2, 9}, ID: MessageID{7}, Payload: []byte("x")})
	r := Reading{Message: &wire.Message{InstallationID: "a"}, kind: ratchets}
	for _, test := range []struct {
		from Contact
		want MessageReceived
	}{
		{ours, MessageReceived{Sender: here.Own, Recipient: x3dh.IdentityPublicKey{2, 9}, ID: MessageID{7}, Payload: []byte("x")}},
		{Contact{Identity: peer}, MessageReceived{Sender: peer, Recipient: here.Own, ID: newMessageID(peer, r.Message, ""), Payload: payload}},
	} {
		test.want.Installation, test.want.Received, test.want.ForwardSecrecy = "a", 5, true
		if got := test.from.received(here, r, payload, 5); !reflect.DeepEqual(got, test.want) {
			t.Errorf("from %v:\ngot  %+v\nwant %+v", test.from.Identity, got, test.want)
		}
	}
}

func FuzzDecodeCopy(f *testing.F) {
	id := bytes.Repeat([]byte{1}, 32)
	for _, r := range []*record.Copy{
		{Recipient: peer[:], MessageId: id, Payload: []byte("x")},
		{Recipient: peer[:], Payload: []byte("x")},
		{Recipient: peer[:], MessageId: make([]byte, 32), Payload: []byte("x")},
		{Recipient: peer[:], MessageId: id},
		{},
	} {
		f.Add(marked(f, r))
	}
	f.Add([]byte{})
	f.Add([]byte("hello"))
	f.Add(append(bytes.Clone(copyMark), 0xff))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, ok := DecodeCopy(payload)
		if !ok {
			if !reflect.DeepEqual(c, Copy{}) {
				t.Fatalf("refused, but %+v", c)
			}
			return
		}
		if !bytes.HasPrefix(payload, copyMark) || len(c.Payload) == 0 {
			t.Fatalf("%+v from %q", c, payload)
		}
		again, ok := DecodeCopy(encodedCopy(t, c))
		if !ok || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v became %+v, %v", c, again, ok)
		}
	})
}
