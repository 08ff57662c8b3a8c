package ratchet_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// conversations is how many are accumulated, and accumulated the hash over all
// their bytes on the wire, effects and final states. It is the same on every
// machine and with every implementation of the curve; if it changes, so did the
// protocol or the way randomness is used.
const (
	conversations = 10_000
	accumulated   = "5687c2269131138d7292c1bca2cd1f63b67f121f4f1341aef865939dc7d1c81a"
)

var printAfter = flag.Int("conversation", -1, "print the hash after the conversation with this number")

// people are drawn once: their keys are not what the conversations are about.
type person struct {
	identity x3dh.IdentityKey
	prekey   x3dh.PreKey
}

func people(t *testing.T, n int) []person {
	t.Helper()
	source := rand.NewChaCha8([32]byte([]byte("people of the conversations     ")))
	list := make([]person, n)
	for i := range list {
		var err error
		if list[i].identity, err = x3dh.GenerateIdentity(source); err != nil {
			t.Fatal(err)
		}
		if list[i].prekey, err = x3dh.GeneratePreKey(source); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// conversation is one session from its agreement on, with all its randomness
// from one seed.
type conversation struct {
	t       *testing.T
	number  int
	source  *rand.ChaCha8
	choice  *rand.ChaCha8 // apart, so that it does not depend on what the code draws
	hash    hash.Hash
	states  [2]ratchet.State
	skipped [2]*ratchet.Skipped
}

func (c *conversation) fail(err error) {
	c.t.Helper()
	c.t.Fatalf("conversation %d: %v\nrepeat with: go test ./ratchet -run TestAccumulatedConversations -conversation %d",
		c.number, err, c.number)
}

func (c *conversation) write(parts ...[]byte) {
	for _, p := range parts {
		c.hash.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(p))))
		c.hash.Write(p)
	}
}

// below gives a number from 0 to n-1.
func (c *conversation) below(n int) int { return int(c.choice.Uint64() % uint64(n)) }

// begin agrees on SK with X3DH; one conversation in four is on Curve25519.
func (c *conversation) begin(alice, bob *person) {
	sk, ephemeral, err := x3dh.Initiate(&alice.identity, bob.identity.Public(), bob.prekey.Public(), c.source)
	if err != nil {
		c.fail(err)
	}
	theirs, err := x3dh.Respond(&bob.identity, &bob.prekey, alice.identity.Public(), ephemeral)
	if err != nil {
		c.fail(err)
	}
	if !theirs.Equal(&sk) {
		c.fail(errors.New("the two sides agree on different keys"))
	}
	suite, first := ratchet.Secp256k1, ratchet.Secp256k1KeyPair(bob.prekey.Pair())
	if c.number%4 == 3 {
		suite, first = ratchet.Curve25519, ratchet.FirstCurve25519KeyPair(&sk)
	}
	if c.states[0], err = ratchet.NewInitiator(suite, sk, first.Public, c.source); err != nil {
		c.fail(err)
	}
	if c.states[1], err = ratchet.NewResponder(suite, sk, first); err != nil {
		c.fail(err)
	}
	c.skipped = [2]*ratchet.Skipped{{}, {}}
	c.write(ephemeral[:])
}

type delivery struct {
	m     ratchet.Message
	plain []byte
}

// flight lets one side send up to four messages and the other receive them in
// another order. It gives the ones that were held back.
func (c *conversation) flight(from int, late []delivery) []delivery {
	count := 1 + c.below(4)
	for range count {
		plain := make([]byte, c.below(120))
		_, _ = c.source.Read(plain)
		next, m, err := c.states[from].Encrypt(plain, nil, ratchet.RandomIV, c.source)
		if err != nil {
			c.fail(err)
		}
		c.states[from] = next
		c.write(m.Header.Encode(), m.Ciphertext)
		late = append(late, delivery{m, plain})
	}
	for i := range late {
		j := c.below(i + 1)
		late[i], late[j] = late[j], late[i]
	}
	keep := 0
	if len(late) > 1 {
		keep = c.below(2)
	}
	for _, d := range late[keep:] {
		c.receive(1-from, d)
	}
	return late[:keep:keep]
}

func (c *conversation) receive(who int, d delivery) {
	next, effects, got, err := c.states[who].Decrypt(c.skipped[who], d.m, nil, ratchet.DeployedLimits())
	if err != nil {
		c.fail(err)
	}
	if !bytes.Equal(got, d.plain) {
		c.fail(fmt.Errorf("message %d of its chain arrives with another plaintext", d.m.Header.N))
	}
	c.states[who] = next
	c.skipped[who].Apply(effects)
	for _, k := range effects.Add {
		c.write(k.Ratchet.Bytes(), binary.LittleEndian.AppendUint64(nil, k.Seq), k.Key.Bytes())
	}
	for _, ref := range effects.Remove {
		c.write(ref.Ratchet.Bytes(), binary.LittleEndian.AppendUint32(nil, ref.N))
	}
}

func (c *conversation) writeState(s *ratchet.State) {
	key := func(k *secret.Key) { c.write(k.Bytes()) }
	chain := func(ch *ratchet.Chain) {
		key(&ch.Key)
		key(&ch.Head)
		c.write(fmt.Appendf(nil, "%d %v", ch.N, ch.Primed))
	}
	key(&s.Root)
	chain(&s.Send)
	chain(&s.Recv)
	key(&s.Self.Private)
	c.write(s.Self.Public.Bytes(), s.Remote.Bytes())
	c.write(fmt.Appendf(nil, "%d %v %d %d", s.Suite, s.SendPending, s.PN, s.KeysMade))
}

// Ten thousand conversations, each from X3DH to a few ratchet turns with
// messages out of order, give one pinned hash: with cgo and without.
func TestAccumulatedConversations(t *testing.T) {
	all := people(t, 32)
	sum := sha256.New()
	for i := range conversations {
		var seed [32]byte
		copy(seed[:], "conversation")
		binary.LittleEndian.PutUint64(seed[24:], uint64(i))
		c := &conversation{
			t: t, number: i, hash: sum,
			source: rand.NewChaCha8(seed),
			choice: rand.NewChaCha8(sha256.Sum256(seed[:])),
		}
		distance := 1 + i/len(all)%(len(all)-1) // nobody talks to themselves
		c.begin(&all[i%len(all)], &all[(i+distance)%len(all)])
		toBob := c.flight(0, nil)
		toAlice := c.flight(1, nil)
		if i%3 == 0 {
			toBob = c.flight(0, toBob)
		}
		for _, d := range toBob {
			c.receive(1, d)
		}
		for _, d := range toAlice {
			c.receive(0, d)
		}
		c.writeState(&c.states[0])
		c.writeState(&c.states[1])
		if i == *printAfter {
			t.Logf("after conversation %d: %x", i, sum.Sum(nil))
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != accumulated {
		t.Errorf("accumulated hash %s, pinned %s\nto find the first conversation that differs: "+
			"go test ./ratchet -run %s -v -conversation N", got, accumulated, t.Name())
	}
}
