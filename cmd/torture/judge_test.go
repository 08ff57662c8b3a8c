package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// story is a history to be judged.
type story struct{ *judge }

// sealedAs is a message with one part under a ratchet key.
func sealedAs(ratchetKey byte, n uint32, ciphertext string) transport.Envelope {
	key := make([]byte, 33)
	key[0], key[32] = 2, ratchetKey
	m := wire.Message{InstallationID: "phone", Entries: []wire.Entry{{
		Recipient: "desk",
		Part:      wire.Part{DR: &wire.DRHeader{RatchetKey: key, N: n, SignedPreKey: wire.PublicKey(key)}, Payload: []byte(ciphertext)},
	}}}
	return transport.Envelope{Topic: "personal/x", Payload: m.Encode()}
}

func (s *story) begin() {
	for who := range side(sides) {
		s.judge.begin(who)
	}
}

func (s *story) send(text string) {
	s.meant(alice, []byte(text))
	s.sent(alice, "id of "+text, []byte(text))
}

func (s *story) tell(text string) { s.told(bob, "id of "+text, []byte(text), true) }

func (s *story) ack(text string) {
	s.acking(bob, "id of "+text)
	s.settle(bob, "id of "+text)
}

// T01: every violation is seen, and nothing else is taken for one.
func TestJudgeSeesEveryViolationAndNoOther(t *testing.T) {
	for _, test := range []struct {
		name string
		tell func(*story)
		want []offence
	}{
		{"all is well", func(s *story) {
			s.send("one")
			s.published(sealedAs(1, 0, "a"))
			s.tell("one")
			s.ack("one")
			s.drained(0, 0)
		}, nil},
		{"the same ciphertext is published again", func(s *story) {
			s.published(sealedAs(1, 0, "a"))
			s.begin()
			s.published(sealedAs(1, 0, "a"))
		}, nil},
		{"other keys and numbers", func(s *story) {
			s.published(sealedAs(1, 0, "a"))
			s.published(sealedAs(1, 1, "b"))
			s.published(sealedAs(2, 0, "c"))
		}, nil},
		{"another ciphertext under a key in use", func(s *story) {
			s.published(sealedAs(1, 7, "a"))
			s.begin()
			s.published(sealedAs(1, 7, "b"))
		}, []offence{reused}},
		{"a message cannot be decoded", func(s *story) {
			s.published(transport.Envelope{Payload: []byte{0xff}})
		}, []offence{failure}},

		{"an acknowledged message never comes", func(s *story) {
			s.send("one")
			s.send("two")
			s.tell("two")
			s.ack("two")
			s.drained(0, 0)
		}, []offence{lost}},
		{"a message without a receipt never comes", func(s *story) {
			s.meant(alice, []byte("one"))
			s.drained(0, 0)
		}, nil},
		{"a message without a receipt comes", func(s *story) {
			s.meant(alice, []byte("one"))
			s.tell("one")
			s.ack("one")
			s.drained(0, 0)
		}, nil},
		{"told once, then never again although nobody called Ack", func(s *story) {
			s.send("one")
			s.tell("one")
			s.begin()
			s.drained(0, 0)
		}, []offence{lost}},
		{"it leaves the inbox although nobody called Ack", func(s *story) {
			s.send("one")
			s.tell("one")
			s.settle(bob, "id of one")
			s.acking(bob, "id of one")
			s.drained(0, 0)
		}, []offence{lost}},

		{"told again in a later life, its Ack was cut", func(s *story) {
			s.send("one")
			s.tell("one")
			s.acking(bob, "id of one")
			s.begin()
			s.tell("one")
			s.ack("one")
			s.drained(0, 0)
		}, nil},
		{"told again in a life of the recipient alone", func(s *story) {
			s.send("one")
			s.tell("one")
			s.judge.begin(bob)
			s.tell("one")
			s.ack("one")
			s.drained(0, 0)
		}, nil},
		{"told again in a new life of its sender alone", func(s *story) {
			s.send("one")
			s.tell("one")
			s.judge.begin(alice)
			s.tell("one")
		}, []offence{duplicate}},
		{"told again after its Ack was durable", func(s *story) {
			s.send("one")
			s.tell("one")
			s.ack("one")
			s.begin()
			s.tell("one")
		}, []offence{duplicate}},
		{"told twice in one life", func(s *story) {
			s.send("one")
			s.tell("one")
			s.tell("one")
		}, []offence{duplicate}},
		{"told under another id than that of the receipt", func(s *story) {
			s.send("one")
			s.told(bob, "another", []byte("one"), true)
		}, []offence{duplicate}},
		{"two payloads under one id", func(s *story) {
			s.send("one")
			s.tell("one")
			s.meant(alice, []byte("two"))
			s.told(bob, "id of one", []byte("two"), true)
		}, []offence{duplicate}},

		{"nobody sent it", func(s *story) { s.tell("one") }, []offence{foreign}},
		{"it comes back to its sender", func(s *story) {
			s.send("one")
			s.told(alice, "id of one", []byte("one"), true)
		}, []offence{foreign}},
		{"it comes from somebody else", func(s *story) {
			s.send("one")
			s.told(bob, "id of one", []byte("one"), false)
		}, []offence{foreign}},
		{"an Ack of what was not told", func(s *story) {
			s.send("one")
			s.acking(bob, "id of one")
		}, []offence{foreign}},
		{"a receipt for what the other side sends", func(s *story) {
			s.meant(alice, []byte("one"))
			s.sent(bob, "id", []byte("one"))
		}, []offence{foreign}},

		{"something stays in an outbox", func(s *story) {
			s.send("one")
			s.drained(1, 0)
		}, []offence{stuck, stuck}},
		{"something stays in the network", func(s *story) { s.drained(0, 1) }, []offence{stuck}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &story{judge: newJudge()}
			s.begin()
			test.tell(s)
			var got []offence
			for _, v := range s.violations {
				got = append(got, v.offence)
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("violations %v, want %v", s.violations, test.want)
			}
		})
	}
}

func TestViolationNamesTheMessage(t *testing.T) {
	s := &story{judge: newJudge()}
	s.begin()
	s.send("alice 1/0/3 00ff .........")
	s.drained(0, 0)
	if len(s.violations) != 1 || !strings.Contains(s.violations[0].String(), "alice 1/0/3 00ff") || strings.Contains(s.violations[0].String(), "..") {
		t.Errorf("violations: %v", s.violations)
	}
}
