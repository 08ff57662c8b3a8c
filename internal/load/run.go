package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
)

const (
	// senders is how many goroutines of a run with a rate may wait in Send at a time;
	// what comes then waits in front of them, and has waited all the same.
	senders = 4096
	// coldIdle is how long what is to be found asleep stays in memory at most, and
	// coldBudget for how much there is room before, in bytes.
	coldIdle   = time.Second
	coldBudget = 1 << 20
	// prekeyAge is by how much a re-key storm sets the clock on: signed prekeys are
	// replaced after a day.
	prekeyAge = 25 * time.Hour
)

// run is one run of a scenario in a world.
type run struct {
	config  Config
	plan    *Plan
	world   *world
	ledger  *ledger
	monitor *Monitor
	ctx     context.Context //nolint:containedctx // of the answers, which the handler gives

	id      uint64
	base    time.Time     // all times of the run are since then
	warm    time.Duration // what is meant to be sent from then on is measured
	senders atomic.Int64  // goroutines that send
	answers *crew
	answer  atomic.Int64 // that many are to be sent yet
	room    *semaphore.Weighted
	rounds  rounds
	ended   atomic.Int64 // steps of the plan that are done, arrivals aside
	missing atomic.Int64 // arrivals that are waited for no longer

	delivered, durable *latencies
	outcomes           tally
	firstArrival       atomic.Int64 // ns since base; 0: none yet
	lastArrival        atomic.Int64
	opened             time.Time // when it was begun to open the engine
	meter              atomic.Pointer[meter]
}

// Run makes the world if it is not there, opens it anew, sends what the plan says,
// waits until it has arrived, and tells what was measured. Errors: those of
// Config.Check, ErrNotWorld, ErrOtherWorld, ErrUnfinished, ErrUsed, and those of the
// engine; a run that loses messages is none.
func Run(ctx context.Context, c Config, env Environment, m *Monitor) (*Result, error) {
	if c.Scenario == Reconnect || c.Scenario == Storm {
		c.WarmUp = 0 // nothing arrives before the end, or each message is a first one anyhow
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.Scenario == Rekey && !env.InProcess {
		return nil, fmt.Errorf("%w: %s sets the clock on, which only a network inside of this process does not mind", ErrConfig, Rekey)
	}
	is, err := prepared(c, env)
	if err != nil {
		return nil, err
	}
	r := newRun(ctx, c, newWorld(is, env), m)
	result, err := r.all(ctx)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	if err := errors.Join(err, r.world.close(closing)); err != nil {
		return nil, err
	}
	result.Outcomes.Lost = int64(r.ledger.lost())
	if env.Disk != nil {
		result.Resources.Disk = env.Disk()
	}
	return result, nil
}

// prepared finds the world of a run, or a place for it.
func prepared(c Config, env Environment) (World, error) {
	is, err := find(env, c.world())
	switch {
	case err != nil:
		return is, err
	case c.Scenario == Storm && (is.Established > 0 || is.Talked):
		return is, fmt.Errorf("%w: all its pairs have sessions, and %s is about those that have none", ErrUsed, Storm)
	case c.Scenario != Storm && is.Identities && !is.finished():
		return is, fmt.Errorf("%w: %d of %d pairs are established", ErrUnfinished, is.Established, is.Graph.Pairs())
	}
	return is, nil
}

func newRun(ctx context.Context, c Config, w *world, m *Monitor) *run {
	r := &run{
		config: c, plan: NewPlan(c), world: w, monitor: m, ctx: ctx,
		ledger: newLedger(c.graph(), c.Scenario, c.Devices),
		id:     rand.Uint64(), //nolint:gosec // tells runs apart, nothing more
		warm:   c.WarmUp,
		room:   semaphore.NewWeighted(int64(max(c.InFlight, 1)) * int64(c.room())),
	}
	r.delivered, r.durable = newLatencies(), newLatencies()
	r.answers = newCrew(senders, &r.senders)
	return r
}

// room is how many deliveries end what one send begins.
func (c Config) room() int {
	switch c.Scenario { //nolint:exhaustive // the others write to one
	case FanOut:
		return c.Contacts * c.Devices
	case Reconnect:
		return 1 // nothing is delivered before all is sent
	}
	return c.Devices
}

func (r *run) all(ctx context.Context) (*Result, error) {
	result := &Result{Format: ResultFormat, Config: r.config, Started: time.Now().UTC(), Machine: machine()}
	r.monitor.watch(r.traffic)
	w := r.world
	if !w.is.finished() {
		made, err := w.make(ctx, r.config.Scenario != Storm, r.monitor)
		if err != nil {
			return nil, err
		}
		result.SetUp = made
	}
	if err := w.close(ctx); err != nil {
		return nil, err
	}
	if r.config.Scenario == Cold {
		w.idle, w.budget = coldIdle, coldBudget
	}
	w.is.Talked = true
	if err := w.save(); err != nil {
		return nil, err
	}
	r.base = time.Now() // for what an earlier run has left behind
	take := r.take
	w.take.Store(&take)
	r.monitor.begin("opening", 0, 0)
	r.opened = time.Now()
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	result.Opening.Open = time.Since(r.opened)
	result.Opening.Sessions = w.is.established()
	stop := w.redeliver()
	err := r.measure(ctx, result)
	stop()
	r.answers.end()
	return result, err
}

// measure sends and receives.
func (r *run) measure(ctx context.Context, result *Result) error {
	if r.config.Scenario == Rekey {
		if err := r.turn(ctx, 0); err != nil {
			return err
		}
	}
	if r.config.Scenario == Reconnect {
		if err := r.world.leave(ctx, 1); err != nil {
			return err
		}
	}
	runtime.GC()
	meter := newMeter(r)
	before := used{counts: r.world.counts(), processor: processor(), envelopes: r.world.traffic.messages.sum(), wire: r.world.traffic.bytes.sum()}
	r.base = time.Now()
	meter.start()
	r.monitor.begin("sending", 0, 0)
	err := r.send(ctx)
	sent := time.Since(r.base)
	if err == nil && r.config.Scenario == Reconnect {
		r.opened = time.Now()
		err = r.world.open(ctx)
		result.Opening.Open = time.Since(r.opened)
	}
	r.monitor.begin("draining", 0, 0)
	if err == nil {
		err = r.drain(ctx)
	}
	drained := time.Since(r.base)
	meter.stop()
	if err != nil {
		return err
	}
	result.Took, result.Drained = sent, drained-sent
	after := used{counts: r.world.counts(), processor: processor(), envelopes: r.world.traffic.messages.sum(), wire: r.world.traffic.bytes.sum()}
	r.report(result, meter, before, after)
	return nil
}

// send does what the plan says until its time is over.
func (r *run) send(ctx context.Context) error {
	if r.config.Rate > 0 {
		return r.openLoop(ctx)
	}
	return r.closedLoop(ctx)
}

func (r *run) openLoop(ctx context.Context) error {
	crew := newCrew(senders, &r.senders)
	defer crew.end()
	last, ends := r.plan.Ends()
	for k := uint64(0); !ends || k < last; k++ {
		meant := r.plan.Meant(k)
		if meant >= r.config.WarmUp+r.config.Duration {
			break
		}
		if err := sleep(ctx, meant-time.Since(r.base)); err != nil {
			return err
		}
		s := r.plan.At(k)
		if err := r.turn(ctx, s.Round); err != nil {
			return err
		}
		crew.do(func() { r.begin(s, meant) })
	}
	return nil
}

func (r *run) closedLoop(ctx context.Context) error {
	sending, cancel := context.WithDeadline(ctx, r.base.Add(r.config.WarmUp+r.config.Duration))
	defer cancel()
	var (
		next  atomic.Uint64
		group sync.WaitGroup
		once  sync.Once
		wrong error
	)
	last, ends := r.plan.Ends()
	for range r.config.InFlight {
		r.senders.Add(1)
		group.Go(func() {
			defer r.senders.Add(-1)
			for r.room.Acquire(sending, int64(r.config.room())) == nil {
				k := next.Add(1) - 1
				if ends && k >= last {
					return
				}
				s := r.plan.At(k)
				err := r.turn(sending, s.Round)
				switch {
				case err != nil && errors.Is(err, sending.Err()): // its time is over
					return
				case err != nil:
					once.Do(func() { wrong = err })
					cancel()
					return
				}
				r.begin(s, time.Since(r.base))
				if r.config.Scenario == Reconnect {
					r.room.Release(1)
				}
			}
		})
	}
	group.Wait()
	return errors.Join(wrong, ctx.Err())
}

// turn begins another round of a re-key storm when all of the one before has arrived, or
// nothing more comes of it: a day passes, and all signed prekeys are old.
func (r *run) turn(ctx context.Context, round int) error {
	if r.config.Scenario != Rekey {
		return nil
	}
	return r.rounds.await(round, func() error {
		if err := r.quiet(ctx, int64(round)*int64(r.plan.turns())); err != nil {
			return err
		}
		return r.world.pass(ctx, prekeyAge)
	})
}

// begin does one step of the plan.
func (r *run) begin(s Send, meant time.Duration) {
	defer r.ended.Add(1)
	if s.To == everybody {
		r.sendGroup(s, meant)
		return
	}
	if r.config.Scenario == Storm {
		from, to := r.world.person(s.From, 0), r.world.person(s.To, 0)
		if err := introduce(r.ctx, from, to); err != nil {
			r.outcomes.fail(err)
			r.free(r.config.Devices)
			return
		}
	}
	r.sendOne(s, meant, ask)
}

// sendOne sends to one contact.
func (r *run) sendOne(s Send, meant time.Duration, k kind) {
	link, ok := r.ledger.link(s.From, s.To)
	if !ok {
		panic("internal error: a plan of who does not know each other")
	}
	stream := r.ledger.stream(link, s.From)
	number, before := r.ledger.begin(stream)
	payload := r.head(k, s.From, number, before, meant).encode(s.Size)
	from, to := r.world.person(s.From, 0), r.world.person(s.To, 0).PublicKey()
	var receipt rookery.Receipt
	err := patiently(r.ctx, func() (err error) {
		receipt, err = from.Send(r.ctx, to, payload)
		return err
	}, r.outcomes.overload)
	r.sent(link, number, meant, receipt, err)
	r.ledger.end(stream, number)
}

// sendGroup sends to all contacts of who sends.
func (r *run) sendGroup(s Send, meant time.Duration) {
	number, before := r.ledger.begin(s.From)
	payload := r.head(ask, s.From, number, before, meant).encode(s.Size)
	from := r.world.person(s.From, 0)
	contacts := r.config.graph().ContactsOf(s.From, nil)
	members := make([]rookery.PublicKey, len(contacts))
	links := make(map[rookery.PublicKey]int, len(contacts))
	for i, contact := range contacts {
		members[i] = r.world.person(contact, 0).PublicKey()
		links[members[i]], _ = r.ledger.link(s.From, contact)
	}
	for len(members) > 0 {
		var again []rookery.PublicKey
		for _, one := range from.SendGroup(r.ctx, members, payload) {
			if errors.Is(one.Err, cause.ErrOverloaded) {
				r.outcomes.overload()
				again = append(again, one.Member)
				continue
			}
			r.sent(links[one.Member], number, meant, one.Receipt, one.Err)
		}
		if members = again; len(members) > 0 && sleep(r.ctx, overloadedWait) != nil {
			for _, one := range members {
				r.sent(links[one], number, meant, rookery.Receipt{}, r.ctx.Err())
			}
			break
		}
	}
	r.ledger.end(s.From, number)
}

func (r *run) head(k kind, from int, number, before uint32, meant time.Duration) head {
	return head{kind: k, run: r.id, sender: uint32(from), number: number, before: before, meant: meant} //nolint:gosec // at most MaxPairs
}

// sent notes what became of a message at its sender.
func (r *run) sent(link int, number uint32, meant time.Duration, receipt rookery.Receipt, err error) {
	if err != nil {
		r.ledger.fail(link, number)
		r.outcomes.fail(err)
		if r.ctx.Err() == nil { // else it may arrive all the same, and nothing comes next
			r.free(r.config.Devices)
		}
		return
	}
	if meant >= r.warm {
		r.durable.record(link, time.Since(r.base)-meant)
	}
	if len(receipt.Installations) < r.config.Devices {
		r.outcomes.short.Add(1)
	}
	r.outcomes.expected.add(link, int64(r.config.Devices))
	r.outcomes.sent.add(link, 1)
}

// free makes room for what comes next in a closed loop.
func (r *run) free(deliveries int) {
	if r.config.InFlight > 0 && r.config.Scenario != Reconnect {
		r.room.Release(int64(deliveries))
	}
}

// drainEvery is how often it is looked whether all has arrived.
const drainEvery = 5 * time.Millisecond

// drain waits until all has arrived, or nothing has for as long as the config says.
func (r *run) drain(ctx context.Context) error { return r.quiet(ctx, 0) }

// quiet waits until that many steps of the plan are done, and all that was sent has
// arrived; or until nothing has come of it for as long as the config says, after which
// the arrivals that are missing are not waited for again.
func (r *run) quiet(ctx context.Context, steps int64) error {
	last, since := int64(-1), time.Now()
	for {
		// In this order: what is expected is booked before the step or the answer ends
		// that asks for it, and who is to answer before the question has arrived.
		ended := r.ended.Load()
		arrived, answering := r.outcomes.arrived.sum(), r.answer.Load()
		expected := r.outcomes.expected.sum()
		if ended >= steps && answering == 0 && arrived+r.missing.Load() >= expected {
			return nil
		}
		if now := ended + arrived + expected; now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) >= r.config.Drain {
			r.missing.Store(max(expected-arrived, 0))
			return nil
		}
		if err := sleep(ctx, drainEvery); err != nil {
			return err
		}
	}
}

// sleep waits, a negative time not at all.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
