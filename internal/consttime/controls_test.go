package consttime

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/rookery-im/rookery/internal/secret"
)

// leakyMACCheck adds to the check what an early exit over the MAC would cost.
type leakyMACCheck struct {
	*macCheck
	same bool
}

func (m *leakyMACCheck) call() {
	m.macCheck.call()
	at := len(m.sealed) - macSize
	m.same = equalUntil(m.sealed[at:], m.wrong[at:])
}

// equalUntil stops at the first byte that differs.
func equalUntil(a, b []byte) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// leakyKeyComparison compares keys as nobody should.
type leakyKeyComparison struct{ keyComparison }

func (k *leakyKeyComparison) call() { k.equal = equalUntil(k.a.Bytes(), k.b.Bytes()) }

// longComparison is bytes.Equal over more than one step of its loop.
type longComparison struct {
	a, b [4096]byte
	same bool
}

func (c *longComparison) load(input []byte) {
	copy(c.a[:], input)
	copy(c.b[:], input[len(c.a):])
}

func (c *longComparison) call() { c.same = bytes.Equal(c.a[:], c.b[:]) }

func (c *longComparison) right() bool { return c.same == (c.a == c.b) }

// power raises to a secret exponent and multiplies only for the bits that are
// set.
type power struct {
	exponent [secret.KeySize]byte
	result   uint64
}

func (p *power) load(input []byte) { copy(p.exponent[:], input) }

func (p *power) call() {
	const base, modulus = 0x5eed, 1<<31 - 1
	p.result = 1
	for i := 0; i < len(p.exponent); i += 8 {
		word := binary.BigEndian.Uint64(p.exponent[i:])
		for bit := 63; bit >= 0; bit-- {
			p.result = p.result * p.result % modulus
			if word>>bit&1 == 1 {
				p.result = p.result * base % modulus
			}
		}
	}
}

func (p *power) right() bool { return p.result != 0 }

// variableMultiplication multiplies a point with code that does not claim to
// take the same time for all scalars.
type variableMultiplication struct {
	point  secp256k1.JacobianPoint
	scalar secp256k1.ModNScalar
	result secp256k1.JacobianPoint
}

func newVariableMultiplication() *variableMultiplication {
	var v variableMultiplication
	secp256k1.PrivKeyFromBytes([]byte("a private key of the other side.")).PubKey().AsJacobian(&v.point)
	return &v
}

func (v *variableMultiplication) load(input []byte) { v.scalar.SetByteSlice(input[:secret.KeySize]) }

func (v *variableMultiplication) call() {
	secp256k1.ScalarMultNonConst(&v.scalar, &v.point, &v.result)
}

func (v *variableMultiplication) right() bool { return !v.result.Z.IsZero() }

// enough is with how many samples every planted leak has to be found.
const enough = 1_000_000

// The test of the test: what leaks is found, by the same rule by which nothing
// is found elsewhere. On a machine that is too busy for few samples more are
// taken, up to a million.
func TestPlantedLeaksAreFound(t *testing.T) {
	long := comparison{
		name: "planted: bytes.Equal, 4 KiB", op: &longComparison{}, classes: [2]class{firstByte, lastByte},
		size: 2 * 4096, calls: 8, samples: *fastFlag / 10,
	}
	early := comparison{
		name: "planted: keys, early exit", op: &leakyKeyComparison{}, classes: [2]class{firstByte, lastByte},
		size: 2 * secret.KeySize, calls: 64, samples: *fastFlag / 10,
	}
	m := newMACCheck(t)
	mac := m.compare("planted: MAC, early exit", &leakyMACCheck{macCheck: m})
	mac.samples = min(mac.samples, enough/10)
	point := againstRandomScalars("planted: point, decred", newVariableMultiplication())[0]
	point.samples = *slowFlag / 5
	rows := []comparison{long, early, mac, point}
	rows = append(rows, againstRandomScalars("planted: square and multiply", &power{})...)
	for _, c := range rows {
		c.planted = true
		most := enough
		if c.calls == 1 {
			most = enough / 10 // each takes as long as a multiplication
		}
		for !c.leaks(t) {
			if c.samples >= most {
				t.Errorf("%s: what tells %s from %s was not found (seed %d)", c.name, c.classes[0].name, c.classes[1].name, *seedFlag)
				break
			}
			c.samples = min(4*c.samples, most)
		}
	}
}

// The test of the test, the other way: inputs of one kind are not told apart,
// by operations that leak or not.
func TestEqualClassesAreNotToldApart(t *testing.T) {
	same := func(c comparison) comparison {
		c.classes[1] = c.classes[0]
		return c
	}
	m := newMACCheck(t)
	mustNotLeak(t,
		same(m.compare("same: MAC, early exit", &leakyMACCheck{macCheck: m})),
		same(comparison{
			name: "same: keys, early exit", op: &leakyKeyComparison{}, classes: [2]class{lastByte},
			size: 2 * secret.KeySize, calls: 64, samples: *fastFlag,
		}),
		same(comparison{
			name: "same: square and multiply", op: &power{}, classes: [2]class{{"random scalar", randomScalar}},
			size: scalarSize, calls: 1, samples: *slowFlag,
		}),
	)
}
