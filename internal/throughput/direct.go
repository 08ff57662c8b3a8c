package throughput

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// direct is messages made directly over many sessions, durably reserved in a sealed
// store on disk, compared with the bare ratchet's encryption over as many sessions.
// Both sides' sessions are started before, and each session's first, small blocks are
// used up.
func direct(o Options) measure.Comparison {
	open := func(ctx context.Context, c *closers) ([]measure.Way, error) {
		bare, err1 := bareSessions(o.Sizes.Sessions)
		peers, err2 := peersOf(o.Sizes.Sessions)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		sessions, err := o.directTo(ctx, peers, c)
		if err != nil {
			return nil, err
		}
		payload := make([]byte, payloadSize)
		mine := func(ctx context.Context) error {
			return onWorkers(o.Sizes.Direct, len(sessions), func(n int) error {
				_, err := sessions[n].Encrypt(ctx, payload)
				return err
			})
		}
		if err := mine(ctx); err != nil {
			return nil, err
		}
		return []measure.Way{
			measure.Turn(measure.Rookery, o.Sizes.Direct, mine),
			measure.Turn("bare ratchet, encryption", o.Sizes.Direct, func(context.Context) error {
				return onWorkers(o.Sizes.Direct, len(bare), func(n int) error {
					next, _, err := bare[n].Encrypt(payload, nil, ratchet.RandomIV, rand.Reader)
					bare[n] = next
					return err
				})
			}),
		}, nil
	}
	return measure.Comparison{
		ID: "direct", Title: fmt.Sprintf("direct sending, %d sessions", o.Sizes.Sessions),
		Basis: measure.Clock, Wanted: 0.60, Open: opening(open),
	}
}

// onWorkers does something n times, round the sessions, each of which belongs to
// one goroutine.
func onWorkers(n, sessions int, do func(session int) error) error {
	// Both divide the sessions, so that each stays with one.
	workers := 1
	for workers*2 <= min(runtime.GOMAXPROCS(0), sessions) && sessions%(workers*2) == 0 {
		workers *= 2
	}
	errs := make([]error, workers)
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := worker; i < n && errs[worker] == nil; i += workers {
				errs[worker] = do(i % sessions)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func bareSessions(n int) ([]ratchet.State, error) {
	sessions := make([]ratchet.State, n)
	for n := range sessions {
		peer, err := ratchet.Secp256k1.GenerateKeyPair(rand.Reader)
		if err != nil {
			return nil, err
		}
		if sessions[n], err = ratchet.NewInitiator(ratchet.Secp256k1, peer.Private, peer.Public, rand.Reader); err != nil {
			return nil, err
		}
	}
	return sessions, nil
}

// stranger is somebody of whom a bundle is known.
type stranger struct {
	key    rookery.PublicKey
	bundle []byte
}

func peersOf(n int) ([]stranger, error) {
	out := make([]stranger, n)
	for i := range out {
		identity, err := x3dh.GenerateIdentity(rand.Reader)
		if err != nil {
			return nil, err
		}
		prekey, err := x3dh.GeneratePreKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		bundle := wire.Bundle{
			PreKeys:   []wire.SignedPreKey{{InstallationID: "phone", Key: wire.PublicKey(prekey.Public()), Version: 1, ProtocolVersion: 1}},
			Timestamp: time.Now().UnixNano(),
		}
		if err := x3dh.SignBundle(&identity, &bundle); err != nil {
			return nil, err
		}
		out[i] = stranger{identity.Public(), wire.EncodeBundle(bundle)}
	}
	return out, nil
}

// directTo opens an engine and prepares direct sending to each. Each makes its first
// message here, which starts its session: those of the bare ratchet are started
// before the clock runs too.
func (o Options) directTo(ctx context.Context, all []stranger, c *closers) ([]*rookery.Direct, error) {
	dir, remove, err := o.room()
	c.add(remove)
	if err != nil {
		return nil, err
	}
	engine, err := rookery.Open(ctx, o.engineOptions(dir))
	if err != nil {
		return nil, err
	}
	c.add(func() error { return engine.Close(context.WithoutCancel(ctx)) })
	us, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		return nil, err
	}
	out := make([]*rookery.Direct, len(all))
	const workers = 64
	errs := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(all) && errs[worker] == nil; i += workers {
				out[i], errs[worker] = firstDirect(ctx, us, all[i])
			}
		})
	}
	group.Wait()
	return out, errors.Join(errs...)
}

func firstDirect(ctx context.Context, us *rookery.Identity, to stranger) (*rookery.Direct, error) {
	if err := us.TakeBundle(ctx, to.key, to.bundle); err != nil {
		return nil, err
	}
	d, err := us.Direct(to.key)
	if err != nil {
		return nil, err
	}
	_, err = d.Encrypt(ctx, make([]byte, payloadSize))
	return d, err
}
