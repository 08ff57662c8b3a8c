package throughput

import (
	"crypto/rand"
	"errors"
	"runtime"
	"sync"

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

func newBarePairs(n int) (barePairs, error) {
	all := make(barePairs, n)
	var err error
	for i := range all {
		if all[i], err = newBarePair(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// newBarePair makes a session and lets it go back and forth, as world.meet does.
func newBarePair() (p barePair, err error) {
	sk, err1 := secret.ReadKey(rand.Reader)
	pair, err2 := curve.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return p, err
	}
	first := ratchet.Secp256k1KeyPair(pair)
	if p.from, err = ratchet.NewInitiator(ratchet.Secp256k1, sk, first.Public, rand.Reader); err != nil {
		return p, err
	}
	if p.to, err = ratchet.NewResponder(ratchet.Secp256k1, sk, first); err != nil {
		return p, err
	}
	for range 2 {
		if err := p.exchange(1); err != nil {
			return p, err
		}
		p.from, p.to = p.to, p.from
	}
	return p, p.exchange(1)
}

// talk sends the messages that world.talk sends, on as many goroutines as there
// are cores.
func (all barePairs) talk(perPair, inFlight int) error {
	cores := runtime.GOMAXPROCS(0)
	errs := make([]error, cores)
	var both sync.WaitGroup
	for core := range cores {
		both.Go(func() {
			for sent := 0; sent < perPair && errs[core] == nil; sent += inFlight {
				for i := core; i < len(all) && errs[core] == nil; i += cores {
					errs[core] = all[i].exchange(min(inFlight, perPair-sent))
				}
			}
		})
	}
	both.Wait()
	return errors.Join(errs...)
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
