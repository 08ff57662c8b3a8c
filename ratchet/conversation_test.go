package ratchet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
)

var bothSuites = []Suite{Secp256k1, Curve25519}

// seeded gives the same bytes in every run: a test that fails fails again.
func seeded(seed string) *rand.ChaCha8 {
	var s [32]byte
	copy(s[:], seed)
	return rand.NewChaCha8(s)
}

// party is one side of a session as its holder keeps it: what a message changes
// is merged only if the message was accepted.
type party struct {
	state   State
	skipped *Skipped
	limits  Limits
	rand    io.Reader
}

// newPair gives the two sides of a fresh session.
func newPair(tb testing.TB, suite Suite) (alice, bob *party) {
	tb.Helper()
	source := seeded("pair of " + suite.String())
	sk, err := secret.ReadKey(source)
	if err != nil {
		tb.Fatal(err)
	}
	first := firstPair(tb, suite, &sk, source)
	alice = &party{skipped: &Skipped{}, limits: DeployedLimits(), rand: source}
	bob = &party{skipped: &Skipped{}, limits: DeployedLimits(), rand: source}
	if alice.state, err = NewInitiator(suite, sk, first.Public, source); err != nil {
		tb.Fatal(err)
	}
	if bob.state, err = NewResponder(suite, sk, first); err != nil {
		tb.Fatal(err)
	}
	return alice, bob
}

func firstPair(tb testing.TB, suite Suite, sk *secret.Key, source io.Reader) KeyPair {
	tb.Helper()
	if suite == Curve25519 {
		return FirstCurve25519KeyPair(sk)
	}
	pair, err := suite.GenerateKeyPair(source)
	if err != nil {
		tb.Fatal(err)
	}
	return pair
}

func (p *party) send(tb testing.TB, plaintext []byte) Message {
	tb.Helper()
	next, m, err := p.state.Encrypt(plaintext, nil, RandomIV, p.rand)
	if err != nil {
		tb.Fatal(err)
	}
	p.state = next
	return m
}

// sendMany gives n messages whose plaintexts are their numbers in the batch.
func (p *party) sendMany(tb testing.TB, n int) []Message {
	tb.Helper()
	batch := make([]Message, n)
	for i := range batch {
		batch[i] = p.send(tb, numbered(i))
	}
	return batch
}

func numbered(i int) []byte { return fmt.Appendf(nil, "message %d", i) }

func (p *party) receive(m Message) ([]byte, error) {
	next, effects, plaintext, err := p.state.Decrypt(p.skipped, m, nil, p.limits)
	if err != nil {
		return nil, err
	}
	p.state = next
	p.skipped.Apply(effects)
	return plaintext, nil
}

func (p *party) mustReceive(tb testing.TB, m Message, want []byte) {
	tb.Helper()
	got, err := p.receive(m)
	if err != nil || !bytes.Equal(got, want) {
		tb.Fatalf("message %d of its chain: %q, %v; want %q", m.Header.N, got, err, want)
	}
}

// mustRefuse also checks that nothing changes and nothing comes out.
func (p *party) mustRefuse(tb testing.TB, m Message, want ...error) error {
	tb.Helper()
	before, given := p.clone(), Message{Header: m.Header, Ciphertext: bytes.Clone(m.Ciphertext)}
	next, effects, plaintext, err := p.state.Decrypt(p.skipped, m, nil, p.limits)
	if err == nil {
		tb.Fatalf("message %d of its chain is accepted, as %q", m.Header.N, plaintext)
	}
	if plaintext != nil || !reflect.DeepEqual(next, State{}) || !reflect.DeepEqual(effects, Effects{}) {
		tb.Fatalf("a refusal comes with a state, effects or a plaintext (%v)", err)
	}
	if !p.equal(before) || !reflect.DeepEqual(m, given) {
		tb.Fatalf("a refused message left traces (%v)", err)
	}
	if len(want) == 0 {
		want = []error{ErrMAC, ErrMessageKeyGone, ErrTooManySkipped, ErrUnknownRatchetKey, ErrCiphertext, ErrHeader}
	}
	for _, w := range want {
		if errors.Is(err, w) {
			return err
		}
	}
	tb.Fatalf("refused with %v, want %v", err, want)
	return err
}

func (p *party) clone() *party {
	c := *p
	c.skipped = &Skipped{keys: maps.Clone(p.skipped.keys), order: slices.Clone(p.skipped.order), chains: maps.Clone(p.skipped.chains)}
	return &c
}

// equal compares everything a party holds by value, keys included.
func (p *party) equal(other *party) bool {
	return reflect.DeepEqual(p.state, other.state) &&
		(len(p.skipped.keys) == 0 && len(other.skipped.keys) == 0 || reflect.DeepEqual(p.skipped.keys, other.skipped.keys))
}

// answer lets p send one message and the other side receive it, which ends p's
// turn to answer.
func (p *party) answer(tb testing.TB, other *party) {
	tb.Helper()
	other.mustReceive(tb, p.send(tb, []byte("answer")), []byte("answer"))
}

func forBothSuites(t *testing.T, test func(t *testing.T, suite Suite)) {
	t.Helper()
	for _, suite := range bothSuites {
		t.Run(suite.String(), func(t *testing.T) { test(t, suite) })
	}
}

// Spec: 5.dr-header.3 5.dr-header.4
func TestPingPong(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		from, to := newPair(t, suite)
		for i := range 20 {
			want := bytes.Repeat([]byte{byte(i)}, i)
			m := from.send(t, want)
			if n, pn := m.Header.N, m.Header.PN; n != 0 || pn != min(uint32(i/2), 1) {
				t.Errorf("turn %d: n = %d, pn = %d", i, n, pn)
			}
			to.mustReceive(t, m, want)
			from, to = to, from
		}
		if from.skipped.Len()+to.skipped.Len() != 0 {
			t.Error("keys were skipped although nothing was lost")
		}
	})
}

func TestEveryPlaintextLengthArrives(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		for n := range 300 {
			plaintext := bytes.Repeat([]byte{byte(n)}, n)
			m := alice.send(t, plaintext)
			if len(m.Ciphertext) != n+Overhead {
				t.Fatalf("%d bytes become %d, want %d more", n, len(m.Ciphertext), Overhead)
			}
			bob.mustReceive(t, m, plaintext)
		}
	})
}

// The plaintext and the ciphertext given out are slices of their own.
func TestResultsShareNoMemoryWithInputs(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	in := []byte("plaintext")
	m := alice.send(t, in)
	clear(in)
	received := Message{Header: m.Header, Ciphertext: bytes.Clone(m.Ciphertext)}
	got, err := bob.receive(received)
	if err != nil {
		t.Fatal(err)
	}
	clear(received.Ciphertext)
	if string(got) != "plaintext" {
		t.Errorf("%q after the inputs were overwritten", got)
	}
}

// Associated data before the header is authenticated although deployed clients
// use none.
func TestAssociatedDataIsAuthenticated(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	_, m, err := alice.state.Encrypt([]byte("m"), []byte("context"), RandomIV, alice.rand)
	if err != nil {
		t.Fatal(err)
	}
	for _, ad := range []string{"", "contex", "context ", "Context"} {
		if _, _, _, err := bob.state.Decrypt(bob.skipped, m, []byte(ad), bob.limits); !errors.Is(err, ErrMAC) {
			t.Errorf("with %q: %v", ad, err)
		}
	}
	if _, _, got, err := bob.state.Decrypt(nil, m, []byte("context"), bob.limits); err != nil || string(got) != "m" {
		t.Errorf("with its own: %q, %v", got, err)
	}
}

// Encrypting and decrypting leave the state they are called on as it was, so
// that either can be tried again after a failed commit.
func TestStatesAreValues(t *testing.T) {
	forBothSuites(t, func(t *testing.T, suite Suite) {
		alice, bob := newPair(t, suite)
		for range 3 {
			before := alice.clone()
			_, m, err := alice.state.Encrypt([]byte("m"), nil, RandomIV, alice.rand)
			if err != nil {
				t.Fatal(err)
			}
			if !alice.equal(before) {
				t.Fatal("Encrypt changed the state it was called on")
			}
			received := bob.clone()
			for range 2 {
				if _, _, got, err := bob.state.Decrypt(bob.skipped, m, nil, bob.limits); err != nil || string(got) != "m" {
					t.Fatalf("%q, %v", got, err)
				}
				if !bob.equal(received) {
					t.Fatal("Decrypt changed the state it was called on")
				}
			}
			alice.answer(t, bob)
			bob.answer(t, alice)
		}
	})
}
