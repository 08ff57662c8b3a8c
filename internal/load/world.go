package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery"
)

// Environment is what a command chooses for a run.
type Environment struct {
	// Dir is where the world is kept, or is to be made; "": nowhere.
	Dir string
	// Options gives the options of one of the engines, from 0 on: its store and its
	// network. It is asked whenever an engine is opened, for the same store each time.
	Options func(ctx context.Context, engine int) (rookery.Options, error)
	// InProcess: the network is one inside of this process, which forgets what nobody
	// listens to, and does not mind which time it is.
	InProcess bool
	// Redeliver has such a network deliver again what was lost or refused; or nil.
	Redeliver func() int
	// Disk is how much room the stores take, in bytes; nil: none.
	Disk func() int64
}

// world is the identities of a run in their engines.
type world struct {
	env     Environment
	is      World
	traffic traffic
	history *history
	ahead   atomic.Int64 // of the engines' clock, ns
	take    atomic.Pointer[func(place int, e rookery.Event)]

	engines []*rookery.Engine
	idle    time.Duration // Options.IdleAfter; 0: the engine's own
	budget  int64         // Options.MemoryBudget; 0: the engine's own
	roll    atomic.Pointer[roll]
	ready   chan struct{} // closed when the roll has everybody
}

// roll is who is hosted: identities*devices, the devices of one beside each other.
type roll struct {
	people []*rookery.Identity
	places map[*rookery.Identity]int
}

// namePrefix is what the names of identities begin with; their number follows.
const namePrefix = "load "

func newWorld(is World, env Environment) *world {
	w := &world{env: env, is: is, engines: make([]*rookery.Engine, is.Engines)}
	if env.InProcess && is.Engines > 1 {
		w.history = newHistory()
	}
	w.ahead.Store(int64(is.Ahead))
	return w
}

// now is the clock of the engines.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// pass sets that clock on, and remembers it first. An identity's other devices write
// to nobody: what they would have published in that time they publish now, else
// their siblings and contacts would know them by prekeys that are long gone.
func (w *world) pass(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.is.Ahead += d
	if err := w.save(); err != nil {
		return err
	}
	w.ahead.Store(int64(w.is.Ahead))
	silent := w.is.Devices - 1
	return each(ctx, w.is.Graph.Identities*silent, func(i int) error {
		accepted := make(chan error, 1)
		device := w.person(i/silent, 1+i%silent)
		if err := device.PublishContactCode(ctx, func(err error) { accepted <- err }); err != nil {
			return err
		}
		select {
		case err := <-accepted:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (w *world) save() error {
	if w.env.Dir == "" {
		return nil
	}
	return w.is.write(w.env.Dir)
}

// open opens those engines that are not open, and takes the roll of all.
func (w *world) open(ctx context.Context) error {
	w.ready = make(chan struct{})
	defer close(w.ready)
	for n := range w.engines {
		if w.engines[n] != nil {
			continue
		}
		engine, err := w.openEngine(ctx, n)
		if err != nil {
			return err
		}
		w.engines[n] = engine
	}
	return w.call()
}

func (w *world) openEngine(ctx context.Context, n int) (*rookery.Engine, error) {
	options, err := w.env.Options(ctx, n)
	if err != nil {
		return nil, err
	}
	if options.Transport != nil {
		options.Transport = counted{options.Transport, &w.traffic, w.history}
	}
	if options.Carrier != nil {
		options.Carrier = countedCarrier{options.Carrier, &w.traffic}
	}
	ready := w.ready
	options.Handler = func(e rookery.Event) { w.handle(ready, e) }
	options.Now = w.now
	if w.idle > 0 {
		options.IdleAfter = w.idle
	}
	if w.budget > 0 {
		options.MemoryBudget = w.budget
	}
	return rookery.Open(ctx, options)
}

// call takes the roll: who is hosted, by number and device.
func (w *world) call() error {
	r := &roll{people: make([]*rookery.Identity, w.is.Graph.Identities*w.is.Devices), places: make(map[*rookery.Identity]int)}
	numbers := make(map[rookery.PublicKey]int)
	var all []*rookery.Identity
	for _, engine := range w.engines {
		if engine != nil {
			all = append(all, engine.Identities()...)
		}
	}
	for _, i := range all {
		if i.Name() == "" {
			continue
		}
		text, ours := strings.CutPrefix(i.Name(), namePrefix)
		n, err := strconv.Atoi(text)
		if !ours || err != nil || n < 0 || n >= w.is.Graph.Identities || r.people[n*w.is.Devices] != nil {
			return fmt.Errorf("%w: its store hosts an identity of the name %q", ErrNotWorld, i.Name())
		}
		numbers[i.PublicKey()] = n
		r.people[n*w.is.Devices] = i
	}
	slices.SortFunc(all, func(a, b *rookery.Identity) int { return strings.Compare(a.InstallationID(), b.InstallationID()) })
	for _, i := range all {
		if i.Name() != "" {
			continue
		}
		n, known := numbers[i.PublicKey()]
		free := -1
		if known {
			free = slices.Index(r.people[n*w.is.Devices:(n+1)*w.is.Devices], nil)
		}
		if free < 0 {
			return fmt.Errorf("%w: its store hosts an identity that is no device of any", ErrNotWorld)
		}
		r.people[n*w.is.Devices+free] = i
	}
	for place, i := range r.people {
		if i != nil {
			r.places[i] = place
		}
	}
	w.roll.Store(r)
	return nil
}

// person gives a device of an identity, nil if it is not hosted.
func (w *world) person(n, device int) *rookery.Identity {
	return w.roll.Load().people[n*w.is.Devices+device]
}

// handle passes events on with the place of whom they are for.
func (w *world) handle(ready <-chan struct{}, e rookery.Event) {
	place, known := w.place(e.To())
	if !known { // a new one, or its engine is being opened
		<-ready
		if place, known = w.place(e.To()); !known {
			return
		}
	}
	if take := w.take.Load(); take != nil {
		(*take)(place, e)
	}
}

func (w *world) place(i *rookery.Identity) (int, bool) {
	r := w.roll.Load()
	if r == nil {
		return 0, false
	}
	place, known := r.places[i]
	return place, known
}

// leave closes one engine.
func (w *world) leave(ctx context.Context, n int) error {
	if w.engines[n] == nil {
		return nil
	}
	if err := w.engines[n].Close(ctx); err != nil {
		return err
	}
	w.engines[n] = nil
	return nil
}

// close closes all.
func (w *world) close(ctx context.Context) error {
	var all []error
	for n := range w.engines {
		all = append(all, w.leave(ctx, n))
	}
	return errors.Join(all...)
}

// counts adds up what the open engines have done.
func (w *world) counts() (all rookery.Counts) {
	for _, engine := range w.engines {
		if engine == nil {
			continue
		}
		c := engine.Counts()
		all.Sent += c.Sent
		all.Copies += c.Copies
		all.Received += c.Received
		all.Refused += c.Refused
		all.Advertised += c.Advertised
		all.Awake += c.Awake
		all.Wakes += c.Wakes
		all.Sleeps += c.Sleeps
		all.SessionsStarted += c.SessionsStarted
		all.RatchetSteps += c.RatchetSteps
		all.Acknowledged += c.Acknowledged
		all.Batches += c.Batches
	}
	return all
}

// redeliverEvery is how often the network is told to deliver again.
const redeliverEvery = 50 * time.Millisecond

// redeliver has the network make good what it lost, until stop is called.
func (w *world) redeliver() (stop func()) {
	if w.env.Redeliver == nil {
		return func() {}
	}
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		ticker := time.NewTicker(redeliverEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				w.env.Redeliver()
			case <-done:
				return
			}
		}
	})
	return func() { close(done); ended.Wait() }
}

// find reads the world of the environment, or begins a new one as it is wanted. Of
// what is wanted, zeros are whatever the world has.
func find(env Environment, wanted World) (World, error) {
	wanted.Format = worldFormat
	if env.Dir == "" {
		return wanted, wanted.check()
	}
	is, exists, err := ReadWorld(env.Dir)
	if err != nil {
		return is, err
	}
	if exists {
		is.Established = min(is.Established, is.Graph.Pairs())
		return is, is.same(wanted)
	}
	if err := wanted.check(); err != nil {
		return wanted, err
	}
	if err := os.MkdirAll(env.Dir, 0o700); err != nil {
		return wanted, err
	}
	return wanted, wanted.write(env.Dir)
}

// same refuses a world that is not the one that is wanted: ErrOtherWorld.
func (w World) same(wanted World) error {
	switch {
	case w.Graph != wanted.Graph:
		return fmt.Errorf("%w: a %s of %d identities with %d contacts, not a %s of %d with %d", ErrOtherWorld,
			w.Graph.Shape, w.Graph.Identities, w.Graph.Contacts, wanted.Graph.Shape, wanted.Graph.Identities, wanted.Graph.Contacts)
	case w.Devices != wanted.Devices:
		return fmt.Errorf("%w: %d devices for each identity, not %d", ErrOtherWorld, w.Devices, wanted.Devices)
	case w.Engines != wanted.Engines:
		return fmt.Errorf("%w: %d engines, not %d", ErrOtherWorld, w.Engines, wanted.Engines)
	}
	return nil
}
