package throughput

import (
	"crypto/rand"
	"sync"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
)

// barePairs are sessions of the ratchet and nothing around it.
type barePairs []barePair

type barePair struct {
	from, to ratchet.State
	skipped  ratchet.Skipped
}

func newBarePairs(b *testing.B, n int) barePairs {
	b.Helper()
	all := make(barePairs, n)
	for i := range all {
		all[i] = newBarePair(b)
	}
	return all
}

// newBarePair makes a session and lets it go back and forth, as world.meet does.
func newBarePair(b *testing.B) (p barePair) {
	b.Helper()
	err := func() error {
		sk, err := secret.ReadKey(rand.Reader)
		if err != nil {
			return err
		}
		pair, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		first := ratchet.Secp256k1KeyPair(pair)
		if p.from, err = ratchet.NewInitiator(ratchet.Secp256k1, sk, first.Public, rand.Reader); err != nil {
			return err
		}
		if p.to, err = ratchet.NewResponder(ratchet.Secp256k1, sk, first); err != nil {
			return err
		}
		for range 2 {
			if err := p.exchange(1); err != nil {
				return err
			}
			p.from, p.to = p.to, p.from
		}
		return p.exchange(1)
	}()
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// talk sends the messages that world.talk sends, on as many goroutines as there
// are cores.
func (all barePairs) talk(b *testing.B, perPair, inFlight int) figures {
	b.Helper()
	return measure(b, perPair*len(all), func() {
		var both sync.WaitGroup
		for core := range cores {
			both.Go(func() {
				for sent := 0; sent < perPair; sent += inFlight {
					for i := core; i < len(all); i += cores {
						if err := all[i].exchange(min(inFlight, perPair-sent)); err != nil {
							b.Error(err)
							return
						}
					}
				}
			})
		}
		both.Wait()
	})
}

// exchange sends n messages one way, and then receives them.
func (p *barePair) exchange(n int) (err error) {
	flight := make([]ratchet.Message, n)
	payload := make([]byte, payloadSize)
	for i := range flight {
		if p.from, flight[i], err = p.from.Encrypt(payload, nil, ratchet.RandomIV, rand.Reader); err != nil {
			return err
		}
	}
	for i := range flight {
		var effects ratchet.Effects
		if p.to, effects, _, err = p.to.Decrypt(&p.skipped, flight[i], nil, ratchet.DeployedLimits()); err != nil {
			return err
		}
		p.skipped.Apply(effects)
	}
	return nil
}
