package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// line is a message of one of many senders.
type line struct{ sender, number int }

// Of what many senders tell a resident that leaves whenever it can nothing is lost, and
// what one of them tells stays in its order.
// home is what a resident of a test belongs to.
type home struct {
	name   string
	create func() Actor
	Resident
}

func (h *home) ActorName() string { return h.name }

func (h *home) NewActor() Actor { return h.create() }

func settle(system *System, name string, create func() Actor) *Resident {
	h := &home{name: name, create: create}
	system.Settle(&h.Resident, h)
	return &h.Resident
}

func TestResidentThatComesAndGoesLosesNothingAndKeepsOrder(t *testing.T) {
	const senders, rounds, each = 8, 50, 40
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	system := newTestSystem(t, Options{})
	var mu sync.Mutex
	next := make([]int, senders)
	var resident *Resident
	var lives atomic.Int64
	resident = settle(system, "resident", func() Actor {
		lives.Add(1)
		return &probe{receive: func(_ *Context, message any) error {
			m := message.(line)
			mu.Lock()
			defer mu.Unlock()
			if next[m.sender] != m.number {
				t.Errorf("sender %d: got %d, want %d", m.sender, m.number, next[m.sender])
			}
			next[m.sender] = m.number + 1
			resident.Leave()
			return nil
		}}
	})
	for round := range rounds {
		var all sync.WaitGroup
		for sender := range senders {
			random := rand.New(rand.NewPCG(seed, uint64(round*senders+sender)))
			all.Go(func() {
				for number := range each {
					resident.Tell(line{sender, round*each + number})
					for range random.IntN(200) { // others get their turn, at no fixed places
						_ = resident.Idle()
					}
				}
			})
		}
		all.Wait()
		for end := time.Now().Add(patience); resident.Awake(); time.Sleep(10 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatal("it is still awake, although nothing is told any more")
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for sender, n := range next {
		if n != rounds*each {
			t.Errorf("sender %d: %d messages arrived, want %d", sender, n, rounds*each)
		}
	}
	counts := system.Residents()
	if counts.Awake != 0 || counts.Wakes != counts.Sleeps || counts.Wakes != uint64(lives.Load()) {
		t.Errorf("counts are %+v after %d lives", counts, lives.Load())
	}
	if counts.Wakes < rounds {
		t.Errorf("%d lives in %d rounds", counts.Wakes, rounds)
	}
}

func TestResidentStaysForWhatWaits(t *testing.T) {
	system := newTestSystem(t, Options{})
	hold, held := make(chan struct{}), make(chan struct{})
	var left []bool
	var resident *Resident
	resident = settle(system, "resident", func() Actor {
		return &probe{receive: func(_ *Context, message any) error {
			m := message.(ping)
			if m.number == 1 {
				close(held)
				<-hold
			}
			left = append(left, resident.Leave())
			m.Send(m.number)
			return nil
		}}
	})
	var a answers
	resident.Tell(ping{Reply: a.reply(), number: 1})
	<-held
	resident.Tell(ping{Reply: a.reply(), number: 2})
	close(hold)
	a.all(t)
	if got := fmt.Sprint(left); got != "[false true]" {
		t.Errorf("it left: %s, want only with the last message", got)
	}
}

func TestSleepingResidentIsWokenByWhatIsForItOnly(t *testing.T) {
	system := newTestSystem(t, Options{})
	resident := settle(system, "resident", echoProbe)
	resident.TellAwake(ping{})
	resident.Touch()
	if resident.Awake() || system.Residents().Wakes != 0 {
		t.Error("it is awake, and nobody has told it anything")
	}
	used := resident.Used()
	var a answers
	resident.Wake(ping{Reply: a.reply(), number: 1})
	a.all(t)
	if resident.Used() != used {
		t.Error("looking after it counts as use")
	}
	if _, err := Ask(t.Context(), resident, func(r Reply[int]) any { return ping{Reply: r} }); err != nil {
		t.Fatal(err)
	}
	if resident.Used() == used || resident.Idle() > patience {
		t.Error("use does not count")
	}
}

func TestEndedResidentRefuses(t *testing.T) {
	system := newTestSystem(t, Options{})
	for _, awake := range []bool{true, false} {
		resident := settle(system, fmt.Sprint("resident ", awake), echoProbe)
		ask := func() error {
			_, err := Ask(t.Context(), resident, func(r Reply[int]) any { return ping{Reply: r} })
			return err
		}
		if awake {
			if err := ask(); err != nil {
				t.Fatal(err)
			}
		}
		if err := resident.End(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := ask(); !errors.Is(err, ErrStopped) {
			t.Errorf("awake %v: got %v after its end", awake, err)
		}
		if resident.Awake() {
			t.Errorf("awake %v: it lives after its end", awake)
		}
	}
}

// What waits for the next life of a resident when all is shut down, or when it is ended,
// is refused and not dropped.
func TestWhatWaitsForALifeThatNeverComesIsRefused(t *testing.T) {
	for name, end := range map[string]func(*System, *Resident) error{
		"shutdown": func(s *System, _ *Resident) error { return s.Shutdown(context.Background()) },
		"end":      func(_ *System, r *Resident) error { return r.End(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			system := newTestSystem(t, Options{})
			closing, closed := make(chan struct{}), make(chan struct{})
			var resident *Resident
			resident = settle(system, "resident", func() Actor {
				return &probe{
					receive: func(_ *Context, message any) error {
						message.(ping).Send(0)
						resident.Leave()
						return nil
					},
					closed: func() {
						close(closing)
						<-closed
					},
				}
			})
			var first answers
			resident.Tell(ping{Reply: first.reply()})
			first.all(t)
			<-closing
			var refusal error
			refused := make(chan struct{})
			resident.Tell(ping{Reply: ReplyFunc(func(_ int, err error) {
				refusal = err
				close(refused)
			})})
			ended := make(chan error, 1)
			go func() { ended <- end(system, resident) }()
			for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // until it has begun
				system.mu.Lock()
				down := system.closed
				system.mu.Unlock()
				resident.mu.Lock()
				down = down || resident.refusal != nil
				resident.mu.Unlock()
				if down || time.Now().After(end) {
					break
				}
			}
			close(closed)
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			<-refused
			if !errors.Is(refusal, ErrStopped) {
				t.Errorf("got %v", refusal)
			}
		})
	}
}

func TestResidentWithCorruptStateIsNotStartedAgain(t *testing.T) {
	system := newTestSystem(t, Options{})
	var starts atomic.Int64
	corrupt := fmt.Errorf("%w: as the test wants it", ErrCorruptState)
	resident := settle(system, "resident", func() Actor {
		return &probe{start: func(*Context) error {
			starts.Add(1)
			return corrupt
		}}
	})
	for range 3 {
		_, err := Ask(t.Context(), resident, func(r Reply[int]) any { return ping{Reply: r} })
		if !errors.Is(err, ErrStopped) || !errors.Is(err, ErrCorruptState) {
			t.Errorf("got %v", err)
		}
	}
	for end := time.Now().Add(patience); resident.Awake() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	_, err := Ask(t.Context(), resident, func(r Reply[int]) any { return ping{Reply: r} })
	if !errors.Is(err, ErrCorruptState) || starts.Load() != 1 {
		t.Errorf("started %d times, then %v", starts.Load(), err)
	}
}

func TestLeastRecentlyUsedResidentsComeFirstAndOnce(t *testing.T) {
	system := newTestSystem(t, Options{})
	names := []string{"d", "b", "a", "c", "e"}
	residents := make(map[string]*Resident)
	for _, name := range names {
		residents[name] = settle(system, name, echoProbe)
		var a answers
		residents[name].Tell(ping{Reply: a.reply()})
		a.all(t)
	}
	spawn(t, system, "no resident", echoProbe)
	settle(system, "sleeps", echoProbe).Touch()
	use := func(order ...string) {
		for _, name := range order {
			before := residents[name].Used()
			for residents[name].Used() == before {
				residents[name].Touch()
			}
		}
	}
	oldest := func(n, wantPending int) string {
		var got []string
		if pending := system.Residents().Asked; pending != wantPending {
			t.Errorf("%d are on their way out, want %d", pending, wantPending)
		}
		for _, r := range system.LeastRecentlyUsed(n) {
			got = append(got, r.home.ActorName())
		}
		return fmt.Sprint(got)
	}
	use("c", "a", "e", "d", "b")
	if got := oldest(2, 0); got != "[c a]" {
		t.Errorf("got %s", got)
	}
	residents["a"].Stay()
	if got := oldest(2, 1); got != "[a e]" {
		t.Errorf("after one stays: got %s", got)
	}
	use("d")
	if got := oldest(10, 3); got != "[b d]" {
		t.Errorf("the rest: got %s", got)
	}
	if got := oldest(10, 5); got != "[]" {
		t.Errorf("given twice: %s", got)
	}
}

// Of many residents those that are given are old ones, though not always the oldest;
// each is given once, and in the end all are.
func TestOldOnesOfManyResidentsAreGivenByAndBy(t *testing.T) {
	const many = 4 * sampled
	system := newTestSystem(t, Options{})
	var all answers
	residents := make(map[*Resident]int64)
	for n := range many {
		r := settle(system, fmt.Sprint("resident ", n), echoProbe)
		r.Wake(ping{Reply: all.reply()})
		residents[r] = int64(n + 1)
	}
	all.all(t)
	for r, age := range residents { // in another order than they have come
		r.used.Store(age)
	}
	for round := range many {
		given := system.LeastRecentlyUsed(many)
		if len(given) == 0 {
			break
		}
		if len(given) > sampled/8 {
			t.Fatalf("%d given at once", len(given))
		}
		for _, r := range given {
			used, known := residents[r]
			if !known {
				t.Fatal("given twice")
			}
			// A sample with less than an eighth of this half is not seen in a lifetime.
			if round == 0 && used > many/2 {
				t.Errorf("given although only %d were used later", many-used)
			}
			delete(residents, r)
		}
	}
	if asked := system.Residents().Asked; asked != many-len(residents) || asked < many/2 {
		t.Errorf("%d are asked, %d were not given", asked, len(residents))
	}
}

// Who is away, or on his way out, is not asked, and counts no more as asked when he has
// left.
func TestResidentThatLeavesIsNotAsked(t *testing.T) {
	system := newTestSystem(t, Options{})
	var resident *Resident
	resident = settle(system, "resident", func() Actor {
		return &probe{receive: func(_ *Context, message any) error {
			if m := message.(ping); m.number == 1 {
				resident.Leave()
				if resident.ask() {
					t.Error("asked on its way out")
				}
				m.Send(1)
			} else {
				m.Send(0)
			}
			return nil
		}}
	})
	mustAskResident := func(number int) {
		t.Helper()
		if _, err := Ask(t.Context(), resident, func(r Reply[int]) any { return ping{Reply: r, number: number} }); err != nil {
			t.Fatal(err)
		}
	}
	if resident.ask() {
		t.Error("asked while it sleeps")
	}
	mustAskResident(0)
	if !resident.ask() || resident.ask() || system.Residents().Asked != 1 {
		t.Error("not asked, or twice")
	}
	resident.Wake(ping{number: 1})
	for end := time.Now().Add(patience); resident.Awake() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if asked := system.Residents().Asked; asked != 0 {
		t.Errorf("%d are asked after it has left", asked)
	}
}

// parent tells when it hears that it has no children.
type parent struct {
	probe
	childless func()
}

func (p *parent) Childless(*Context) { p.childless() }

func TestParentHearsWhenItsLastChildIsGone(t *testing.T) {
	system := newTestSystem(t, Options{})
	heard := make(chan int, 10)
	var ones, others *Children
	ref := spawn(t, system, "parent", func() Actor {
		return &parent{
			childless: func() { heard <- ones.Len() + others.Len() },
			probe: probe{
				start: func(ctx *Context) error {
					options := ChildrenOptions{New: func(string) Actor { return echoProbe() }, Buffer: 1}
					ones, others = NewChildren(ctx, options), NewChildren(ctx, options)
					return nil
				},
				receive: func(_ *Context, message any) error {
					switch m := message.(type) {
					case route:
						ones.Tell("a"+m.child, m.message)
						others.Tell("b"+m.child, m.message)
					case string:
						ones.PassivateAll()
						if m == "all" {
							others.PassivateAll()
						}
					default:
						return echo(nil, message)
					}
					return nil
				},
			},
		}
	})
	for range 3 {
		var a answers
		ref.Tell(route{"1", ping{Reply: a.reply()}})
		ref.Tell(route{"2", ping{Reply: a.reply()}})
		ref.Tell("ones")
		reach(t, ref)
		ref.Tell("all")
		select {
		case n := <-heard:
			if n != 0 {
				t.Errorf("%d children live", n)
			}
		case <-time.After(patience):
			t.Fatal("it never heard")
		}
	}
	if len(heard) > 0 {
		t.Error("it heard so while it had children")
	}
}

// Not all actors are swept at the same time, and each once in an interval.
func TestTicksAreSpreadOverTheInterval(t *testing.T) {
	const actors, every = 100, time.Minute
	synctest.Test(t, func(t *testing.T) {
		system := NewSystem(Options{SweepEvery: every})
		begin := time.Now()
		var mu sync.Mutex
		at := make(map[time.Duration]int)
		swept := make([]int, actors)
		for n := range actors {
			spawn(t, system, fmt.Sprint("actor ", n), func() Actor {
				return &probe{receive: func(_ *Context, message any) error {
					mu.Lock()
					defer mu.Unlock()
					at[message.(Sweep).Now.Sub(begin)]++
					swept[n]++
					return nil
				}}
			})
		}
		const rounds = 3
		time.Sleep(rounds*every + every/sweepSlots/2)
		shutdownBubble(t, system)
		for moment, n := range at {
			if most := (actors + sweepSlots - 1) / sweepSlots; n > most {
				t.Errorf("%d are swept at %v, want %d at most", n, moment, most)
			}
		}
		if slices.Min(swept) != rounds || slices.Max(swept) != rounds {
			t.Errorf("swept %d to %d times in %d intervals", slices.Min(swept), slices.Max(swept), rounds)
		}
	})
}
