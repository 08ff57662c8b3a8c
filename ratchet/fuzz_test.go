package ratchet

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// scene is a live receiver in the middle of a session, with skipped keys of two
// chains, and the only messages it can accept.
type scene struct {
	bob     *party
	genuine map[string][]byte // wire form to plaintext
	m       []Message
}

func wireForm(m Message) string { return string(m.Header.Encode()) + "|" + string(m.Ciphertext) }

func newScene(tb testing.TB, suite Suite) *scene {
	tb.Helper()
	alice, bob := newPair(tb, suite)
	s := &scene{bob: bob, genuine: map[string][]byte{}}
	expect := func(plain int, m Message) {
		s.genuine[wireForm(m)] = numbered(plain)
		s.m = append(s.m, m)
	}
	old := alice.sendMany(tb, 6)
	bob.mustReceive(tb, old[5], numbered(5))
	bob.mustReceive(tb, old[1], numbered(1))
	bob.answer(tb, alice)
	current := alice.sendMany(tb, 12)
	bob.mustReceive(tb, current[3], numbered(3))
	for _, n := range []int{0, 2, 3, 4} {
		expect(n, old[n])
	}
	for _, n := range []int{0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11} {
		expect(n, current[n])
	}
	// Bob has answered the current key too, so that a turn is possible; Alice's
	// next chain is genuine as well.
	bob.answer(tb, alice)
	for n, m := range alice.sendMany(tb, 3) {
		expect(n, m)
	}
	return s
}

// check gives a message to the receiver: it is accepted if and only if it is
// genuine, and otherwise changes nothing.
func (s *scene) check(tb testing.TB, m Message) {
	tb.Helper()
	plain, genuine := s.genuine[wireForm(m)]
	if !genuine {
		s.bob.mustRefuse(tb, m)
		return
	}
	before := s.bob.clone()
	_, _, got, err := s.bob.state.Decrypt(s.bob.skipped, m, nil, s.bob.limits)
	if err != nil || !bytes.Equal(got, plain) {
		tb.Fatalf("a genuine message gives %q, %v", got, err)
	}
	if !s.bob.equal(before) {
		tb.Fatal("decrypting changed the state it was called on")
	}
}

// T19: any header and any ciphertext against a live state with stored keys: no
// panic, nothing forged is accepted, and a refusal changes nothing.
func FuzzDecrypt(f *testing.F) {
	scenes := []*scene{newScene(f, Secp256k1), newScene(f, Curve25519)}
	for _, s := range scenes {
		for _, m := range s.m {
			f.Add(m.Header.Key.Bytes(), m.Header.N, m.Header.PN, m.Ciphertext)
			f.Add(m.Header.Key.Bytes(), m.Header.N+1, m.Header.PN, m.Ciphertext)
			f.Add(m.Header.Key.Bytes(), m.Header.N, m.Header.PN+1000, m.Ciphertext[:len(m.Ciphertext)-1])
		}
		f.Add(s.bob.state.Self.Public.Bytes(), uint32(0), uint32(12), s.m[0].Ciphertext)
		for _, b := range unusableKeys(s.bob.state.Suite) {
			f.Add(b, uint32(0), uint32(12), s.m[0].Ciphertext)
		}
	}
	f.Add([]byte{}, uint32(1<<32-1), uint32(1<<32-1), []byte{})
	seeds := 0
	for _, script := range recordedScripts(f) {
		for i, op := range script.Ops {
			if op.Op != "encrypt" || i%4 != 0 {
				continue
			}
			key, err1 := hex.DecodeString(op.Header.DH)
			ciphertext, err2 := hex.DecodeString(op.Ciphertext)
			if err1 != nil || err2 != nil {
				f.Fatal(err1, err2)
			}
			f.Add(key, op.Header.N, op.Header.PN, ciphertext)
			seeds++
		}
	}
	if seeds < 10 {
		f.Fatalf("%d seeds from recordings", seeds)
	}
	f.Fuzz(func(t *testing.T, key []byte, n, pn uint32, ciphertext []byte) {
		remote, err := NewPublicKey(key)
		if err != nil && len(key) != 0 {
			return
		}
		for _, s := range scenes {
			s.check(t, Message{Header: Header{Key: remote, N: n, PN: pn}, Ciphertext: ciphertext})
		}
	})
}

// T19: a counted run of mutated valid messages, the same in every run.
func TestMutatedMessagesAreRefused(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		const rounds = 20_000
		s := newScene(t, suite)
		for _, m := range s.m {
			s.check(t, m)
		}
		source := seeded("mutations")
		below := func(n int) int { return int(source.Uint64() % uint64(n)) }
		for range rounds {
			m := s.m[below(len(s.m))]
			m.Ciphertext = bytes.Clone(m.Ciphertext)
			for range 1 + below(3) {
				switch below(8) {
				case 0, 1:
					m.Ciphertext[below(len(m.Ciphertext))] ^= byte(1 + below(255))
				case 2:
					m.Ciphertext = append(m.Ciphertext, drawn(source, 1+below(20))...)
				case 3:
					m.Ciphertext = m.Ciphertext[:1+below(len(m.Ciphertext))]
				case 4:
					m.Header.N = uint32(below(20))
				case 5:
					m.Header.PN = uint32(below(20))
				case 6:
					m.Header.Key = s.m[below(len(s.m))].Header.Key
				case 7:
					m.Header = s.m[below(len(s.m))].Header
				}
			}
			s.check(t, m)
		}
	})
}
