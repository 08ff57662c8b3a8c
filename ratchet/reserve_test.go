package ratchet

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// reserve moves the party's state past a block.
func (p *party) reserve(tb testing.TB, k uint32) *Block {
	tb.Helper()
	next, b, err := p.state.Reserve(k, p.rand)
	if err != nil {
		tb.Fatal(err)
	}
	p.state = next
	return b
}

func (p *party) encryptIn(tb testing.TB, b *Block, plaintext []byte) Message {
	tb.Helper()
	m, err := b.Encrypt(plaintext, nil, RandomIV, p.rand)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// A block makes the messages that the state would have made one by one, whether
// or not a ratchet key is answered by its first, and leaves the state that they
// would have left.
func TestBlockMakesTheSameMessagesAsTheState(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for _, pending := range []bool{false, true} {
			for _, k := range []uint32{1, 2, 64, 250} {
				alice, bob := newPair(t, suite)
				alice.answer(t, bob)
				if pending {
					bob.answer(t, alice)
				}
				alice.sendMany(t, 3*int(k%2))
				name := fmt.Sprintf("%d, a key to answer %v", k, pending)
				one, all := alice.clone(), alice.clone()
				one.rand, all.rand = rand.NewChaCha8(sha256.Sum256([]byte("same"))), rand.NewChaCha8(sha256.Sum256([]byte("same")))
				before := alice.clone()
				next, b, err := all.state.Reserve(k, all.rand)
				if err != nil {
					t.Fatal(err)
				}
				if !all.equal(before) {
					t.Fatalf("%s: reserving changes the state that it is called on", name)
				}
				if b.Left() != k {
					t.Errorf("%s: %d left", name, b.Left())
				}
				for n := range k {
					header := b.Header()
					want := one.send(t, numbered(int(n)))
					got := all.encryptIn(t, b, numbered(int(n)))
					if header != got.Header || got.Header != want.Header || !bytes.Equal(got.Ciphertext, want.Ciphertext) {
						t.Fatalf("%s: message %d is another one", name, n)
					}
				}
				if all.state = next; !one.equal(all) {
					t.Errorf("%s: the state goes on elsewhere", name)
				}
			}
		}
	})
}

// T25: two blocks with ordinary messages and a turn in between, in random order:
// each message is delivered exactly once, and what the blocks still had is
// skipped.
// Spec: draft.out-of-order.1
func TestMessagesOfBlocksArriveInAnyOrder(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		for seed := range uint64(50) {
			alice, bob := newPair(t, suite)
			alice.answer(t, bob)
			first, second := alice.reserve(t, 20), alice.reserve(t, 20)
			var sent []Message
			in := func(b *Block, n int) {
				for range n {
					sent = append(sent, alice.encryptIn(t, b, numbered(len(sent))))
				}
			}
			plain := func() { sent = append(sent, alice.send(t, numbered(len(sent)))) }
			in(second, 3)
			plain()
			in(first, 5)
			bob.answer(t, alice) // bob has seen none of them
			plain()              // answers bob's key: a new chain
			in(first, 4)         // of the chain before
			third := alice.reserve(t, 10)
			in(third, 6)
			in(second, 2)
			plain()
			random := rand.New(rand.NewPCG(seed, 1))
			random.Shuffle(len(sent), func(i, j int) { sent[i], sent[j] = sent[j], sent[i] })
			got := make(map[string]bool)
			for _, m := range sent {
				plaintext, err := bob.receive(m)
				if err != nil || got[string(plaintext)] {
					t.Fatalf("seed %d: %q, %v", seed, plaintext, err)
				}
				got[string(plaintext)] = true
				bob.mustRefuse(t, m)
			}
			if bob.skipped.Len() != 40-14+4 {
				t.Errorf("seed %d: %d keys skipped", seed, bob.skipped.Len())
			}
		}
	})
}

// A used-up or wiped block holds no key and makes nothing.
func TestExhaustedBlockMakesNothing(t *testing.T) {
	alice, _ := newPair(t, Secp256k1)
	b := alice.reserve(t, 2)
	alice.encryptIn(t, b, nil)
	alice.encryptIn(t, b, nil)
	wiped := alice.reserve(t, 2)
	held := wiped.keys
	wiped.Wipe()
	if !held[0].IsZero() || !held[1].IsZero() {
		t.Error("wiping leaves keys")
	}
	for name, b := range map[string]*Block{"used up": b, "wiped": wiped, "zero": {}} {
		if _, err := b.Encrypt(nil, nil, RandomIV, alice.rand); !errors.Is(err, ErrBlockExhausted) {
			t.Errorf("%s: %v", name, err)
		}
		if b.Left() != 0 {
			t.Errorf("%s: %d left", name, b.Left())
		}
		for i := range b.keys {
			if !b.keys[i].IsZero() {
				t.Errorf("%s: key %d is there", name, i)
			}
		}
	}
}

// T10: a failing source of randomness costs a message number, and never gives
// one twice.
func TestBlockSpendsTheNumberOfAFailedMessage(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	b := alice.reserve(t, 3)
	if _, err := b.Encrypt(nil, nil, RandomIV, bytes.NewReader(make([]byte, 15))); err == nil {
		t.Fatal("encrypted without randomness")
	}
	m := alice.encryptIn(t, b, []byte("next"))
	if m.Header.N != 1 {
		t.Errorf("number %d after a failure", m.Header.N)
	}
	bob.mustReceive(t, m, []byte("next"))
}

func TestBlockEndsWithItsChain(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	alice.state.Send.N = maxIndex - 2
	b := alice.reserve(t, 64)
	if b.Left() != 3 {
		t.Fatalf("%d numbers of 3", b.Left())
	}
	for range 3 {
		alice.encryptIn(t, b, nil)
	}
	for _, k := range []uint32{1, 64} {
		if _, _, err := alice.state.Reserve(k, alice.rand); !errors.Is(err, ErrChainExhausted) {
			t.Errorf("%d more: %v", k, err)
		}
	}
	if _, _, err := bob.state.Reserve(0, bob.rand); !errors.Is(err, ErrChainExhausted) {
		t.Errorf("a block of 0: %v", err)
	}
}

func TestFailedRandomnessReservesNothing(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	alice.answer(t, bob) // bob has a key to answer
	before := bob.clone()
	if _, b, err := bob.state.Reserve(3, bytes.NewReader(nil)); err == nil || b != nil {
		t.Errorf("reserved %v, %v", b, err)
	}
	if !bob.equal(before) {
		t.Error("the state has changed")
	}
}

func TestAppendEncryptKeepsWhatIsThere(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	b := alice.reserve(t, 4)
	for _, room := range []int{0, 1000} {
		for _, ad := range [][]byte{nil, []byte("associated")} {
			dst := append(make([]byte, 0, room), "before"...)
			h := b.Header()
			out, err := b.AppendEncrypt(dst, []byte("x"), ad, RandomIV, alice.rand)
			if err != nil || !bytes.HasPrefix(out, []byte("before")) || len(out) != 6+1+Overhead {
				t.Fatalf("%d bytes, %v", len(out), err)
			}
			next, e, got, err := bob.state.Decrypt(bob.skipped, Message{h, out[6:]}, ad, bob.limits)
			if err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
			bob.state = next
			bob.skipped.Apply(e)
		}
	}
}

// T48: a block does not show its key.
func TestBlockShowsNoKey(t *testing.T) {
	alice, _ := newPair(t, Secp256k1)
	b := alice.reserve(t, 4)
	key := b.keys[0].Array()
	for _, shown := range []any{b, *b, struct{ B Block }{*b}, struct{ B *Block }{b}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
			if how := shownAs(fmt.Sprintf(verb, shown), key[:]); how != "" {
				t.Errorf("%s of %T shows the key as %s", verb, shown, how)
			}
		}
	}
}

func TestBlockAllocations(t *testing.T) {
	alice, _ := newPair(t, Secp256k1)
	b := alice.reserve(t, 250)
	payload := make([]byte, 100)
	dst := make([]byte, 0, len(payload)+Overhead)
	n := testing.AllocsPerRun(100, func() { _, _ = b.AppendEncrypt(dst, payload, nil, UnsafeDerivedIV, nil) })
	if n > allocationsOfAES(len(payload)) {
		t.Errorf("encrypting allocates %v times", n)
	}
}

// The ciphertext goes nowhere over what it is made of, in any part of it, and
// refusing that spends no number.
func TestAppendEncryptRefusesToOverwriteItsInput(t *testing.T) {
	const size = 20
	alice, bob := newPair(t, Secp256k1)
	b := alice.reserve(t, 1)
	memory := make([]byte, 400)
	const at = 150
	dst := memory[at:at:400]
	refused := func(plaintext, ad []byte) (refused bool) {
		defer func() { refused = recover() != nil }()
		_, _ = b.AppendEncrypt(dst, plaintext, ad, RandomIV, seeded("overlap"))
		return false
	}
	for from := at - size + 1; from < at+size+Overhead; from++ {
		if !refused(memory[from:from+size], nil) {
			t.Fatalf("plaintext at %d of the ciphertext is overwritten", from-at)
		}
		if !refused(make([]byte, size), memory[from:from+size]) {
			t.Fatalf("associated data at %d of the ciphertext is overwritten", from-at)
		}
	}
	if b.Left() != 1 {
		t.Fatalf("%d numbers left", b.Left())
	}
	plaintext := memory[at-size : at] // ends where the ciphertext begins
	copy(plaintext, "as near as it may be")
	h := b.Header()
	sealed, err := b.AppendEncrypt(dst, plaintext, nil, RandomIV, seeded("beside"))
	if err != nil {
		t.Fatal(err)
	}
	bob.mustReceive(t, Message{Header: h, Ciphertext: sealed}, []byte("as near as it may be"))
}
