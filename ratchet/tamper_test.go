package ratchet

import (
	"bytes"
	"fmt"
	"testing"
)

// situation is a message and the one who is about to receive it.
type situation struct {
	name  string
	bob   *party
	m     Message
	plain []byte
}

// situations are the ways a message can meet its receiver: as the first one, in
// the current chain with and without a gap, as a skipped one of the current and
// of an old chain, and with a ratchet turn.
func situations(t *testing.T, suite Suite) []situation {
	t.Helper()
	var list []situation
	add := func(name string, bob *party, m Message, plain []byte) {
		list = append(list, situation{name, bob.clone(), m, plain})
	}
	alice, bob := newPair(t, suite)
	sent := alice.sendMany(t, 8)
	add("first message", bob, sent[0], numbered(0))
	bob.mustReceive(t, sent[0], numbered(0))
	add("next in the chain", bob, sent[1], numbered(1))
	add("with a gap", bob, sent[3], numbered(3))
	bob.mustReceive(t, sent[3], numbered(3))
	add("skipped in the current chain", bob, sent[2], numbered(2))
	bob.answer(t, alice)
	next := alice.sendMany(t, 3)
	add("with a turn", bob, next[0], numbered(0))
	add("with a turn and gaps in both chains", bob, next[2], numbered(2))
	bob.mustReceive(t, next[2], numbered(2))
	add("skipped in an old chain", bob, sent[1], numbered(1))
	add("left behind in an old chain", bob, sent[6], numbered(6))
	return list
}

func TestEverySituationIsAccepted(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for _, s := range situations(t, suite) {
			t.Run(s.name, func(t *testing.T) { s.bob.mustReceive(t, s.m, s.plain) })
		}
	})
}

// T21: every byte of the ciphertext and of the header is authenticated, and a
// refusal leaves no trace.
// Spec: 5.integrity.1
func TestEveryFlippedByteIsRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for _, s := range situations(t, suite) {
			t.Run(s.name, func(t *testing.T) {
				for i := range s.m.Ciphertext {
					for _, mask := range []byte{0x01, 0x80, 0xff} {
						m := Message{Header: s.m.Header, Ciphertext: bytes.Clone(s.m.Ciphertext)}
						m.Ciphertext[i] ^= mask
						s.bob.mustRefuse(t, m, ErrMAC)
					}
				}
				for i := range s.m.Header.Key.n {
					for _, mask := range []byte{0x01, 0x80, 0xff} {
						m := s.m
						m.Header.Key.b[i] ^= mask
						s.bob.mustRefuse(t, m)
					}
				}
				for bit := range 32 {
					m := s.m
					m.Header.N ^= 1 << bit
					s.bob.mustRefuse(t, m)
					m = s.m
					m.Header.PN ^= 1 << bit
					s.bob.mustRefuse(t, m)
				}
				s.bob.mustReceive(t, s.m, s.plain)
			})
		}
	})
}

// T20, T21: cut short, made longer, and with parts of another message.
// Spec: 5.integrity.1
func TestCutAndMixedMessagesAreRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for _, s := range situations(t, suite) {
			t.Run(s.name, func(t *testing.T) {
				for n := range s.m.Ciphertext {
					want := ErrMAC
					if n < Overhead {
						want = ErrCiphertext
					}
					s.bob.mustRefuse(t, Message{s.m.Header, s.m.Ciphertext[:n]}, want)
					s.bob.mustRefuse(t, Message{s.m.Header, s.m.Ciphertext[n+1:]})
				}
				s.bob.mustRefuse(t, Message{s.m.Header, append(bytes.Clone(s.m.Ciphertext), 0)}, ErrMAC)
				s.bob.mustRefuse(t, Message{s.m.Header, append([]byte{0}, s.m.Ciphertext...)}, ErrMAC)
				for _, other := range situations(t, suite) {
					if !bytes.Equal(other.m.Ciphertext, s.m.Ciphertext) {
						s.bob.mustRefuse(t, Message{s.m.Header, other.m.Ciphertext}, ErrMAC)
					}
				}
			})
		}
	})
}

// T20: a ciphertext of every length from 0 to 200 bytes that nobody made.
func TestCiphertextsOfEveryLengthAreRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		source := seeded("lengths")
		for _, s := range situations(t, suite) {
			t.Run(s.name, func(t *testing.T) {
				for n := range 201 {
					want := ErrMAC
					if n < Overhead {
						want = ErrCiphertext
					}
					s.bob.mustRefuse(t, Message{s.m.Header, drawn(source, n)}, want)
				}
				s.bob.mustRefuse(t, Message{s.m.Header, nil}, ErrCiphertext)
			})
		}
	})
}

// A header without a ratchet key, with one of the other suite's length, or with
// one that is no point.
func TestHeadersWithoutAUsableKeyAreRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		bob.answerable(t, alice)
		m := alice.send(t, nil)
		m.Header.Key = PublicKey{}
		bob.mustRefuse(t, m, ErrHeader)
		for _, b := range unusableKeys(suite) {
			key, err := NewPublicKey(b)
			if err != nil {
				t.Fatal(err)
			}
			m.Header.Key, m.Header.PN = key, bob.state.Recv.N
			bob.mustRefuse(t, m, ErrHeader)
			if _, err := NewInitiator(suite, alice.state.Root, key, alice.rand); err == nil {
				t.Errorf("a session starts with %x", b)
			}
		}
	})
}

// answerable brings p to where it has answered and awaits a turn of the other.
func (p *party) answerable(tb testing.TB, other *party) {
	tb.Helper()
	other.answer(tb, p)
	p.answer(tb, other)
}

// A message of another session is refused, whichever parts are exchanged.
func TestMessagesOfAnotherSessionAreRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		_, bob := newPair(t, suite)
		other, _ := newPair(t, suite)
		other.state.Send.Key.Bytes()[0] ^= 1
		bob.mustRefuse(t, other.send(t, []byte("m")), ErrMAC)
		for i := range 4 {
			alice, carol := newPair(t, suite)
			alice.state.Root.Bytes()[i] ^= 1
			alice.answer(t, carol)
			carol.mustRefuse(t, carol.send(t, []byte(fmt.Sprint("own ", i))))
		}
	})
}
