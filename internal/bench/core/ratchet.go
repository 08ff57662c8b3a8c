package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/ratchet"
)

// Floor and Least are the names of the ways beside the own one.
const (
	Floor = "floor"
	Least = "least"
)

// Ratchet is the messages of a session. Each operation is measured as the package
// ratchet does it, as the bare primitives it consists of (floor), and where that is
// less, without what the package spares (least).
func Ratchet() []measure.Comparison {
	var all []measure.Comparison
	for _, size := range payloadSizes {
		all = append(all, encrypting(size))
	}
	for _, size := range payloadSizes {
		all = append(all, decrypting(size))
	}
	return append(all, pingPong(), gap(100, false), gap(1000, false), gap(1000, true),
		refusedGap(sameChain), refusedGap(newChain), refusedGap(fullStore))
}

// payloadSizes are in bytes.
var payloadSizes = []int{100, 1024}

func sized(size int) string {
	if size == 1024 {
		return "1 KiB"
	}
	return fmt.Sprint(size, " B")
}

// comparison goes by processor time: everything here runs on one thread.
func comparison(id, title string, open func() ([]measure.Way, error)) measure.Comparison {
	return measure.Comparison{
		ID: id, Title: title, Basis: measure.Processor,
		Open: func(context.Context) (measure.Opened, error) {
			ways, err := open()
			return measure.Opened{Ways: ways}, err
		},
	}
}

// encrypting is one message of an established session, one after another in one
// direction.
func encrypting(size int) measure.Comparison {
	return comparison(fmt.Sprint("encrypt-", size), "encrypt "+sized(size), func() ([]measure.Way, error) {
		payload := make([]byte, size)
		mine, _, err1 := establishedPair()
		f, err2 := newFloor()
		return []measure.Way{
			measure.Each(measure.Rookery, func() error { _, err := mine.send(payload); return err }),
			f.way(Floor, func() { f.encrypt(size) }),
			f.way(Least, func() { f.leastEncrypt(size) }),
		}, errors.Join(err1, err2)
	})
}

// made is how many messages were made before they are decrypted: so few that they
// stay in the caches, where a message is that has just come. After the last one the
// session goes back to the first.
const made = 64

// decrypting is the other side. The floor reads the same messages.
func decrypting(size int) measure.Comparison {
	return comparison(fmt.Sprint("decrypt-", size), "decrypt "+sized(size), func() ([]measure.Way, error) {
		from, mine, err := establishedPair()
		if err != nil {
			return nil, err
		}
		sent, err1 := flight(from, made, make([]byte, size))
		f, err2 := newFloor()
		start, i, k := mine.state, 0, 0
		next := func() []byte {
			k = (k + 1) % made
			return sent[k].Ciphertext
		}
		return []measure.Way{
			measure.Each(measure.Rookery, func() error {
				if i == made {
					i, mine.state = 0, start
				}
				_, err := mine.receive(sent[i])
				i++
				return err
			}),
			f.way(Floor, func() { f.decrypt(next()) }),
			f.way(Least, func() { f.leastDecrypt(next()) }),
		}, errors.Join(err1, err2)
	})
}

// pingPong is a round trip: a message each way, with a DH ratchet step on both
// sides. One more way: the other suite.
func pingPong() measure.Comparison {
	return comparison("ping-pong", "ping-pong, a DH ratchet step each way", func() ([]measure.Way, error) {
		payload := make([]byte, 100)
		alice, bob, err1 := establishedPair()
		alice25519, bob25519, err2 := freshPair(ratchet.Curve25519)
		f, err3 := newFloor()
		received := make([]byte, len(payload)+ratchet.Overhead)
		return []measure.Way{
			measure.Each(measure.Rookery, func() error { return roundTrip(alice, bob, payload) }),
			f.way(Floor, func() {
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
			measure.Each("Curve25519", func() error { return roundTrip(alice25519, bob25519, payload) }),
		}, errors.Join(err1, err2, err3)
	})
}

// gap is a message whose predecessors have not come: their keys are derived and
// kept. With late, they come after it.
func gap(n int, late bool) measure.Comparison {
	id, title := fmt.Sprint("gap-", n), fmt.Sprint("a gap of ", n)
	after := 0
	if late {
		id, title, after = id+"-late", title+", and all of them late", n
	}
	return comparison(id, title, func() ([]measure.Way, error) {
		payload := make([]byte, 100)
		from, mine, err := establishedPair()
		if err != nil {
			return nil, err
		}
		sent, err1 := flight(from, n+1, payload)
		f, err2 := newFloor()
		start := mine.state
		return []measure.Way{
			measure.Each(measure.Rookery, func() error {
				mine.state, mine.skipped = start, ratchet.Skipped{}
				return receiveGap(mine, sent, after)
			}),
			f.way(Floor, func() {
				for range n {
					f.compress(chainBlocks)
				}
				f.decrypt(sent[n].Ciphertext)
				for i := range after {
					f.compressOver(sent[i].Ciphertext, messageBlocks(len(payload))-chainBlocks)
					f.aesCTR(sent[i].Ciphertext)
				}
			}),
		}, errors.Join(err1, err2)
	})
}

// receiveGap takes the last message, and then so many of the first ones.
func receiveGap[M any](to talker[M], sent []M, after int) error {
	if _, err := to.receive(sent[len(sent)-1]); err != nil {
		return err
	}
	for i := range after {
		if _, err := to.receive(sent[i]); err != nil {
			return err
		}
	}
	return nil
}

// Where a message over the limit stands.
const (
	sameChain = "same-chain"
	newChain  = "new-chain"
	fullStore = "full-store" // in a new chain, with all keys kept that may be
)

// refusedGap is a message over the limit. Refusing it needs no primitive, so there
// is no floor: it stands beside a message in order that is taken.
func refusedGap(where string) measure.Comparison {
	title := map[string]string{
		sameChain: "refused gap, same chain", newChain: "refused gap, new chain", fullStore: "refused gap, 2,000 keys kept",
	}[where]
	return comparison("refused-"+where, title, func() ([]measure.Way, error) {
		mine, m, err := refusable(where)
		if err != nil {
			return nil, err
		}
		from, to, err := establishedPair()
		if err != nil {
			return nil, err
		}
		taken, err := flight(from, 1, make([]byte, 100))
		start := to.state
		return []measure.Way{
			measure.Each(measure.Rookery, func() error {
				_, err := mine.receive(m)
				return expect(ratchet.ErrTooManySkipped, err)
			}),
			measure.Each("one in order", func() error {
				to.state = start
				_, err := to.receive(taken[0])
				return err
			}),
		}, err
	})
}

// refusable is a session and a message that it refuses.
func refusable(where string) (*side, ratchet.Message, error) {
	from, mine, err := establishedPair()
	if err != nil {
		return nil, ratchet.Message{}, err
	}
	m, err1 := from.send(nil)
	other, err2 := ratchet.Secp256k1.GenerateKeyPair(rand.Reader)
	_, err3 := mine.send(nil) // who owes an answer knows no new chain at all
	m.Header.N += ratchet.DeployedLimits().MaxSkip + 1
	if where != sameChain {
		m.Header.Key, m.Header.PN = other.Public, mine.state.Recv.N
	}
	if where == fullStore {
		kept := make([]ratchet.SkippedKey, ratchet.DeployedLimits().MaxStored)
		for i := range kept {
			kept[i].KeyRef = ratchet.KeyRef{Ratchet: mine.state.Remote, N: uint32(i)}
		}
		mine.skipped.Apply(ratchet.Effects{Add: kept})
	}
	return mine, m, errors.Join(err1, err2, err3)
}

var errNotRefused = errors.New("not refused")

func expect(want, err error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%w: %w, want %w", errNotRefused, err, want)
	}
	return nil
}
