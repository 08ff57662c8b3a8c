package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
)

const (
	// makers is how many identities are made, or pairs established, at a time: enough
	// for one synced commit to carry the work of many.
	makers = 256
	// meetPatience is how long a pair may take: a busy machine makes pauses.
	meetPatience = 2 * time.Minute
	// makersIdle is how long a contact stays in memory that is not needed any more.
	makersIdle = 10 * time.Second
	// saveEvery is how often it is noted how far a world has come.
	saveEvery = time.Second
	// closePatience is for an engine to end what is under way.
	closePatience = 5 * time.Minute
)

// Made is what making a world has come to.
type Made struct {
	World      World         `json:"world"`
	Identities int           `json:"identities"` // made now
	Pairs      int           `json:"pairs"`      // established now
	Took       time.Duration `json:"took_ns"`
	// PairsPerSecond is without the time that identities took.
	PairsPerSecond float64 `json:"pairs_per_second"`
	Disk           int64   `json:"disk_bytes"`
}

// Create makes the world of a directory, or goes on where an earlier call was ended:
// all identities, and for each pair a session at both ends. The parameters are
// those that the scenario has it in; of Config only these matter.
func Create(ctx context.Context, c Config, env Environment, m *Monitor) (*Made, error) {
	if err := c.checkWorld(); err != nil {
		return nil, err
	}
	is, err := find(env, c.world())
	if err != nil {
		return nil, err
	}
	w := newWorld(is, env)
	made, err := w.make(ctx, true, m)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	if err := errors.Join(err, w.close(closing)); err != nil {
		return nil, err
	}
	if env.Disk != nil {
		made.Disk = env.Disk()
	}
	return made, nil
}

// checkWorld checks what a world is made of.
func (c Config) checkWorld() error {
	if err := c.Scenario.check(); err != nil {
		return err
	}
	if err := c.graph().Check(); err != nil {
		return err
	}
	if c.Devices < 1 || c.Devices > MaxDevices {
		return fmt.Errorf("%w: %d devices, it has to be from 1 to %d", ErrConfig, c.Devices, MaxDevices)
	}
	return nil
}

// world is the one that the config needs.
func (c Config) world() World {
	return World{Format: worldFormat, Graph: c.graph(), Devices: c.Devices, Engines: c.Scenario.engines()}
}

// make opens the engines, and makes what is missing: the identities, and if that is
// wanted their sessions.
func (w *world) make(ctx context.Context, sessions bool, m *Monitor) (*Made, error) {
	w.idle = makersIdle
	defer func() { w.idle = 0 }()
	meetings := &meetings{world: w, waiting: make(map[uint32]chan struct{})}
	take := meetings.take
	w.take.Store(&take)
	defer w.take.Store(nil)
	start := time.Now()
	m.begin("opening", 0, 0)
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	defer w.redeliver()()
	made := &Made{}
	var err error
	if made.Identities, err = w.makeIdentities(ctx, m); err != nil {
		return nil, err
	}
	if sessions {
		begun := time.Now()
		if made.Pairs, err = meetings.all(ctx, m); err != nil {
			return nil, err
		}
		if took := time.Since(begun); made.Pairs > 0 {
			made.PairsPerSecond = float64(made.Pairs) / took.Seconds()
		}
	}
	made.World, made.Took = w.is, time.Since(start)
	return made, nil
}

// makeIdentities makes those that are missing, with all their devices.
func (w *world) makeIdentities(ctx context.Context, m *Monitor) (int, error) {
	if w.is.Identities {
		return 0, nil
	}
	var missing []int
	for n := range w.is.Graph.Identities {
		if w.person(n, 0) == nil || w.is.Devices > 1 {
			missing = append(missing, n)
		}
	}
	m.begin("identities", 0, len(missing))
	err := each(ctx, len(missing), func(i int) error {
		defer m.done.Add(1)
		return w.makeIdentity(ctx, missing[i])
	})
	if err != nil {
		return 0, err
	}
	if err := w.call(); err != nil {
		return 0, err
	}
	w.is.Identities = true
	return len(missing), w.save()
}

// makeIdentity makes the missing devices of an identity, and lets all of them know
// each other.
func (w *world) makeIdentity(ctx context.Context, n int) error {
	first := w.person(n, 0)
	if first == nil {
		engine := w.engines[w.is.Graph.engine(n, len(w.engines))]
		var err error
		if first, err = engine.CreateIdentity(ctx, rookery.NewIdentity{Name: namePrefix + strconv.Itoa(n)}); err != nil {
			return err
		}
	}
	devices := []*rookery.Identity{first}
	for device := 1; device < w.is.Devices; device++ {
		next := w.person(n, device)
		if next == nil {
			var err error
			if next, err = first.AddInstallation(ctx); err != nil {
				return err
			}
		}
		devices = append(devices, next)
	}
	for _, one := range devices {
		for _, other := range devices {
			if one == other {
				continue
			}
			if err := introduce(ctx, one, other); err != nil {
				return err
			}
			if err := one.Approve(ctx, other.PublicKey(), other.InstallationID()); err != nil {
				return err
			}
		}
	}
	return nil
}

// introduce gives one the other's bundle.
func introduce(ctx context.Context, one, other *rookery.Identity) error {
	bundle, err := other.Bundle(ctx)
	if err != nil {
		return err
	}
	return one.TakeBundle(ctx, other.PublicKey(), bundle)
}

// meetings establish pairs: a greeting, and its answer.
type meetings struct {
	world   *world
	answers *crew
	ctx     context.Context //nolint:containedctx // of the answers, which the handler gives

	mu      sync.Mutex
	waiting map[uint32]chan struct{} // by pair
	wrong   error
}

// all establishes the pairs that are not yet, and gives how many that were.
func (s *meetings) all(ctx context.Context, m *Monitor) (int, error) {
	w := s.world
	first, pairs := w.is.Established, w.is.Graph.Pairs()
	m.begin("pairs", first, pairs)
	if first == pairs {
		return 0, nil
	}
	s.ctx, s.answers = ctx, newCrew(makers, new(atomic.Int64))
	var (
		mu    sync.Mutex
		met   sequence
		saved = time.Now()
	)
	err := each(ctx, pairs-first, func(i int) error {
		if err := s.meet(ctx, first+i); err != nil {
			return err
		}
		m.done.Add(1)
		mu.Lock()
		defer mu.Unlock()
		met.add(uint32(i)) //nolint:gosec // at most MaxPairs
		if time.Since(saved) < saveEvery {
			return nil
		}
		saved = time.Now()
		w.is.Established = first + int(met.low())
		return w.save()
	})
	s.answers.end()
	if err != nil {
		return 0, err
	}
	w.is.Established = pairs
	return pairs - first, w.save()
}

// meet establishes one pair: when it returns both sides have sessions. It is the second
// one of the pair who greets: the first one, who writes to it in most scenarios, has then
// made the last step of the DH ratchet, and goes on in a chain that both ends have.
func (s *meetings) meet(ctx context.Context, pair int) error {
	ctx, cancel := context.WithTimeout(ctx, meetPatience)
	defer cancel()
	answers, greets := s.world.is.Graph.Pair(pair)
	one, other := s.world.person(greets, 0), s.world.person(answers, 0)
	if err := introduce(ctx, one, other); err != nil {
		return err
	}
	number := uint32(pair) //nolint:gosec // at most MaxPairs
	done := make(chan struct{})
	s.mu.Lock()
	s.waiting[number] = done
	s.mu.Unlock()
	if err := patiently(ctx, func() error {
		_, err := one.Send(ctx, other.PublicKey(), head{kind: greeting, sender: uint32(greets), number: number}.encode(MinPayload)) //nolint:gosec // at most MaxPairs
		return err
	}, nil); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.wrong != nil {
			return s.wrong
		}
		return fmt.Errorf("load: pair %d, identities %d and %d, was not established: %w", pair, greets, answers, ctx.Err())
	}
}

// take answers greetings.
func (s *meetings) take(place int, e rookery.Event) {
	acknowledge(e)
	m, ok := e.(rookery.Message)
	if !ok || place%s.world.is.Devices != 0 {
		return
	}
	h, ok := decodeHead(m.Payload)
	if !ok {
		return
	}
	switch h.kind { //nolint:exhaustive // the others were left behind by an earlier run
	case greeting:
		s.mu.Lock()
		_, waiting := s.waiting[h.number]
		s.mu.Unlock()
		if waiting {
			s.answers.do(func() { s.answer(m.Identity, m.Sender, h) })
		}
	case greeted:
		s.mu.Lock()
		done := s.waiting[h.number]
		delete(s.waiting, h.number)
		s.mu.Unlock()
		if done != nil {
			close(done)
		}
	}
}

func (s *meetings) answer(from *rookery.Identity, to rookery.PublicKey, h head) {
	h.kind = greeted
	err := patiently(s.ctx, func() error {
		_, err := from.Send(s.ctx, to, h.encode(MinPayload))
		return err
	}, nil)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wrong = errors.Join(s.wrong, err)
	}
}

// acknowledge takes a message out of the inbox.
func acknowledge(e rookery.Event) {
	if m, ok := e.(interface{ Ack() }); ok {
		m.Ack()
	}
}

// overloadedWait is how long to wait after a refusal for overload.
const overloadedWait = time.Millisecond

// patiently does something again as long as the engine has no room for it.
func patiently(ctx context.Context, f func() error, refused func()) error {
	for {
		err := f()
		if !errors.Is(err, cause.ErrOverloaded) {
			return err
		}
		if refused != nil {
			refused()
		}
		select {
		case <-time.After(overloadedWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// each calls f with 0 to n-1, in that order but makers of them at a time, until one
// gives an error, which it gives.
func each(ctx context.Context, n int, f func(int) error) error {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		once  sync.Once
		first error
	)
	for range min(n, makers) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				err := ctx.Err()
				if err == nil {
					err = f(i)
				}
				if err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	group.Wait()
	return first
}
