package ratchet

import (
	"crypto/rand"
	"testing"
)

// maxAllocations is what the hot path may allocate: the output and the two
// objects of AES-CTR.
const maxAllocations = 3

func TestHotPathAllocations(t *testing.T) {
	alice, bob := newPair(t, Secp256k1)
	payload := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = runEncrypt(alice, payload) }); n > maxAllocations {
		t.Errorf("encrypting allocates %v times", n)
	}
	alice.answer(t, bob) // so that no ratchet turn is in the way
	m := alice.send(t, payload)
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = bob.state.Decrypt(bob.skipped, m, nil, bob.limits) }); n > maxAllocations {
		t.Errorf("decrypting allocates %v times", n)
	}
}

func runEncrypt(p *party, payload []byte) (State, Message, error) {
	return p.state.Encrypt(payload, nil, RandomIV, rand.Reader)
}

func BenchmarkEncrypt(b *testing.B) {
	alice, _ := newPair(b, Secp256k1)
	payload := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		next, _, err := runEncrypt(alice, payload)
		if err != nil {
			b.Fatal(err)
		}
		alice.state = next
	}
}

func BenchmarkDecrypt(b *testing.B) {
	alice, bob := newPair(b, Secp256k1)
	payload := make([]byte, 100)
	alice.answer(b, bob)
	start := bob.state
	sent := make([]Message, 100_000)
	for i := range sent {
		sent[i] = alice.send(b, payload)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i == len(sent) {
			i, bob.state = 0, start
		}
		next, _, _, err := bob.state.Decrypt(nil, sent[i], nil, bob.limits)
		if err != nil {
			b.Fatal(err)
		}
		bob.state = next
		i++
	}
}

// BenchmarkPingPong is one message with a ratchet turn on each side.
func BenchmarkPingPong(b *testing.B) {
	for _, suite := range bothSuites {
		b.Run(suite.String(), func(b *testing.B) {
			from, to := newPair(b, suite)
			payload := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				to.mustReceive(b, from.send(b, payload), payload)
				from, to = to, from
			}
		})
	}
}

// BenchmarkRefusedGap is what a message over the limit costs.
func BenchmarkRefusedGap(b *testing.B) {
	alice, bob := newPair(b, Secp256k1)
	alice.answer(b, bob)
	m := alice.send(b, nil)
	m.Header.N = maxIndex
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := bob.state.Decrypt(bob.skipped, m, nil, bob.limits); err == nil {
			b.Fatal("accepted")
		}
	}
}
