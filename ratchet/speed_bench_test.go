package ratchet_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
)

// Each operation is measured as this package does it (rookery), in the way of
// deployed clients (reference), and as the bare primitives it consists of (floor).
// The three follow each other, so that what else the machine does hits all of
// them; "make bench-core" runs them in turns and prints one table.

// row is one way of doing an operation: each call of op does it once.
type row struct {
	name string
	op   func() error
}

// sideBySide also reports the processor time of each row: beside other work on the
// same machine it tells more than the time that has passed, and alone it is that.
func sideBySide(b *testing.B, rows ...row) {
	for _, r := range rows {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if err := r.op(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// floorOf is the row of what cannot fail but by failing the benchmark.
func floorOf(op func()) row {
	return row{"floor", func() error { op(); return nil }}
}

var payloadSizes = []struct {
	name string
	size int // bytes
}{{"100B", 100}, {"1KiB", 1024}}

// BenchmarkEncrypt is one message of an established session, one after another in
// one direction.
func BenchmarkEncrypt(b *testing.B) {
	for _, c := range payloadSizes {
		b.Run(c.name, func(b *testing.B) {
			payload := make([]byte, c.size)
			mine, _ := establishedPair(b)
			theirs, _ := establishedDeployed(b)
			f := newFloor(b)
			sideBySide(
				b,
				row{"rookery", func() error { _, err := mine.send(payload); return err }},
				row{"reference", func() error { _, err := theirs.send(payload); return err }},
				floorOf(func() { f.encrypt(c.size) }),
				row{"least", func() error { f.leastEncrypt(c.size); return nil }},
			)
		})
	}
}

// BenchmarkDecrypt is the other side. The messages were made before, and so few
// that they stay in the caches, where a message is that has just come; after the
// last one the session goes back to the first. The floor reads the same messages.
func BenchmarkDecrypt(b *testing.B) {
	const made = 64
	for _, c := range payloadSizes {
		b.Run(c.name, func(b *testing.B) {
			payload := make([]byte, c.size)
			from, mine := establishedPair(b)
			deployedFrom, theirs := establishedDeployed(b)
			var sent [made]ratchet.Message
			var deployedSent [made]deployedMessage
			for i := range made {
				var err error
				if sent[i], err = from.send(payload); err != nil {
					b.Fatal(err)
				}
				if deployedSent[i], err = deployedFrom.send(payload); err != nil {
					b.Fatal(err)
				}
			}
			start, deployedStart := mine.state, theirs.deployedState
			i, j, k := 0, 0, 0
			f := newFloor(b)
			next := func() []byte {
				k = (k + 1) % made
				return sent[k].Ciphertext
			}
			sideBySide(
				b,
				row{"rookery", func() error {
					if i == made {
						i, mine.state = 0, start
					}
					_, err := mine.receive(sent[i])
					i++
					return err
				}},
				row{"reference", func() error {
					if j == made {
						j, theirs.deployedState = 0, deployedStart
					}
					_, err := theirs.receive(deployedSent[j])
					j++
					return err
				}},
				floorOf(func() { f.decrypt(next()) }),
				row{"least", func() error { f.leastDecrypt(next()); return nil }},
			)
		})
	}
}

// BenchmarkPingPong is a round trip: a message each way, with a DH ratchet step
// on both sides. Two more rows: what this package would be on decred's curve, and
// the other suite.
func BenchmarkPingPong(b *testing.B) {
	payload := make([]byte, 100)
	alice, bob := establishedPair(b)
	deployedAlice, deployedBob := establishedDeployed(b)
	decredAlice, decredBob := decredPair(b)
	alice25519, bob25519 := freshPair(b, ratchet.Curve25519)
	f := newFloor(b)
	received := make([]byte, len(payload)+ratchet.Overhead)
	sideBySide(
		b,
		row{"rookery", func() error { return roundTrip(alice, bob, payload) }},
		row{"reference", func() error { return roundTrip(deployedAlice, deployedBob, payload) }},
		floorOf(func() {
			for range 2 { // messages
				f.encrypt(len(payload))
				for range 2 { // sides
					f.multiply()
					f.compress(rootBlocks)
				}
				f.baseMultiply()
				f.decrypt(received)
			}
		}),
		row{"decred", func() error { return roundTrip(decredAlice, decredBob, payload) }},
		row{"curve25519", func() error { return roundTrip(alice25519, bob25519, payload) }},
	)
}

// BenchmarkGap is a message whose predecessors have not come: their keys are
// derived and kept. The last case also decrypts what comes late.
func BenchmarkGap(b *testing.B) {
	for _, c := range []struct {
		gap  int
		late bool
	}{{100, false}, {1000, false}, {1000, true}} {
		name := fmt.Sprint(c.gap)
		if c.late {
			name += "_and_late"
		}
		b.Run(name, func(b *testing.B) {
			payload := make([]byte, 100)
			from, mine := establishedPair(b)
			deployedFrom, theirs := establishedDeployed(b)
			sent := make([]ratchet.Message, c.gap+1)
			deployedSent := make([]deployedMessage, c.gap+1)
			for i := range sent {
				var err error
				if sent[i], err = from.send(payload); err != nil {
					b.Fatal(err)
				}
				if deployedSent[i], err = deployedFrom.send(payload); err != nil {
					b.Fatal(err)
				}
			}
			late := 0
			if c.late {
				late = c.gap
			}
			start, deployedStart := mine.state, theirs.deployedState
			f := newFloor(b)
			sideBySide(
				b,
				row{"rookery", func() error {
					mine.state, mine.skipped = start, ratchet.Skipped{}
					if _, err := mine.receive(sent[c.gap]); err != nil {
						return err
					}
					for i := range late {
						if _, err := mine.receive(sent[i]); err != nil {
							return err
						}
					}
					return nil
				}},
				row{"reference", func() error {
					theirs.deployedState, theirs.skipped = deployedStart, nil
					if _, err := theirs.receive(deployedSent[c.gap]); err != nil {
						return err
					}
					for i := range late {
						if _, err := theirs.receive(deployedSent[i]); err != nil {
							return err
						}
					}
					return nil
				}},
				floorOf(func() {
					for range c.gap {
						f.compress(chainBlocks)
					}
					f.decrypt(sent[c.gap].Ciphertext)
					for i := range late {
						f.compressOver(sent[i].Ciphertext, messageBlocks(len(payload))-chainBlocks)
						f.aesCTR(sent[i].Ciphertext)
					}
				}),
			)
		})
	}
}

// BenchmarkRefusedGap is a message over the limit. Refusing it needs no primitive,
// so there is no floor; the last case holds all keys that may be kept. The
// reference finds out about a new chain only after its DH ratchet step.
func BenchmarkRefusedGap(b *testing.B) {
	from, mine := establishedPair(b)
	deployedFrom, theirs := establishedDeployed(b)
	m, err1 := from.send(nil)
	deployed, err2 := deployedFrom.send(nil)
	other, err3 := ratchet.Secp256k1.GenerateKeyPair(rand.Reader)
	_, err4 := mine.send(nil) // who owes an answer knows no new chain at all
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		b.Fatal(err)
	}
	m.Header.N += deployedMaxSkip + 1
	deployed.n += deployedMaxSkip + 1
	for _, chain := range []string{"same_chain", "new_chain", "new_chain_full_store"} {
		switch chain {
		case "new_chain":
			m.Header.Key, m.Header.PN = other.Public, mine.state.Recv.N
			deployed.key, deployed.pn = other.Public.Bytes(), theirs.receiving.n
		case "new_chain_full_store":
			kept := make([]ratchet.SkippedKey, ratchet.DeployedLimits().MaxStored)
			for i := range kept {
				kept[i].KeyRef = ratchet.KeyRef{Ratchet: mine.state.Remote, N: uint32(i)}
			}
			mine.skipped.Apply(ratchet.Effects{Add: kept})
		}
		b.Run(chain, func(b *testing.B) {
			sideBySide(
				b,
				row{"rookery", func() error {
					_, err := mine.receive(m)
					return expect(ratchet.ErrTooManySkipped, err)
				}},
				row{"reference", func() error {
					_, err := theirs.receive(deployed)
					return expect(errDeployedTooMany, err)
				}},
			)
		})
	}
}

func expect(want, err error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("got %w, want %w", err, want)
	}
	return nil
}

// side is one side of a session, as its holder keeps it.
type side struct {
	state   ratchet.State
	skipped ratchet.Skipped
}

func (s *side) send(payload []byte) (ratchet.Message, error) {
	next, m, err := s.state.Encrypt(payload, nil, ratchet.RandomIV, rand.Reader)
	if err == nil {
		s.state = next
	}
	return m, err
}

func (s *side) receive(m ratchet.Message) ([]byte, error) {
	next, effects, plaintext, err := s.state.Decrypt(&s.skipped, m, nil, ratchet.DeployedLimits())
	if err != nil {
		return nil, err
	}
	s.skipped.Apply(effects)
	s.state = next
	return plaintext, nil
}

// talker is one side of a session of any kind.
type talker[M any] interface {
	send(payload []byte) (M, error)
	receive(m M) ([]byte, error)
}

func roundTrip[M any, T talker[M]](alice, bob T, payload []byte) error {
	for _, way := range [2][2]T{{alice, bob}, {bob, alice}} {
		m, err := way[0].send(payload)
		if err != nil {
			return err
		}
		if _, err := way[1].receive(m); err != nil {
			return err
		}
	}
	return nil
}

func freshPair(tb testing.TB, suite ratchet.Suite) (alice, bob *side) {
	tb.Helper()
	sk, err := secret.ReadKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	first, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	pair := ratchet.Secp256k1KeyPair(first)
	if suite == ratchet.Curve25519 {
		pair = ratchet.FirstCurve25519KeyPair(&sk)
	}
	alice, bob = &side{}, &side{}
	if alice.state, err = ratchet.NewInitiator(suite, sk, pair.Public, rand.Reader); err != nil {
		tb.Fatal(err)
	}
	if bob.state, err = ratchet.NewResponder(suite, sk, pair); err != nil {
		tb.Fatal(err)
	}
	return alice, bob
}

// establishedPair is a session in which the first one sends and makes no DH
// ratchet step with its next message, nor does the second one to receive it.
func establishedPair(tb testing.TB) (from, to *side) {
	tb.Helper()
	to, from = freshPair(tb, ratchet.Secp256k1)
	for range 2 {
		if err := roundTrip(to, from, nil); err != nil {
			tb.Fatal(err)
		}
	}
	return from, to
}

func freshDeployed(tb testing.TB) (alice, bob *deployedSession) {
	tb.Helper()
	sk := make([]byte, 32)
	_, _ = rand.Read(sk)
	first, err := newDeployedPair()
	if err != nil {
		tb.Fatal(err)
	}
	if alice, err = newDeployedInitiator(sk, first.public); err != nil {
		tb.Fatal(err)
	}
	return alice, newDeployedResponder(sk, first)
}

func establishedDeployed(tb testing.TB) (from, to *deployedSession) {
	tb.Helper()
	to, from = freshDeployed(tb)
	for range 2 {
		if err := roundTrip(to, from, nil); err != nil {
			tb.Fatal(err)
		}
	}
	return from, to
}
