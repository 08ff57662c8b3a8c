package rookery_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// asleep evicts identities until they have left memory.
func (w *world) asleep(those ...device) {
	w.t.Helper()
	for _, d := range those {
		eventually(w.t, "sleep", func() bool {
			i := w.at(d)
			i.Evict()
			return !i.Awake()
		})
	}
}

func TestIdentitiesThatNobodyUsesSleep(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob, carol := w.person(2), w.person(1)[0], w.person(1)[0]
	w.introduceAll(alice, []device{bob})
	w.introduce(w.at(carol), w.at(bob))
	for round := range 3 {
		w.send(alice[0], bob.key, fmt.Sprint("from alice ", round))
		w.send(carol, bob.key, fmt.Sprint("from carol ", round))
		w.send(bob, alice[0].key, fmt.Sprint("from bob ", round))
		w.awaitMessages(2*(round+1), bob)
		w.awaitMessages(round+1, alice...)
		later := w.now()
		eventually(t, "sleep", func() bool {
			later = later.Add(6 * time.Minute)
			w.engine.Sweep(later)
			return w.engine.Counts().Awake == 0
		})
		if left := w.engine.InMemory(); left != 0 {
			t.Errorf("round %d: %d bytes are counted while all sleep", round, left)
		}
	}
	counts := w.engine.Counts()
	if counts.Wakes != counts.Sleeps || counts.Wakes < 3*3 {
		t.Errorf("%d wakes, %d sleeps", counts.Wakes, counts.Sleeps)
	}
}

func TestIdentityInUseStaysAwake(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	later := w.now()
	for n := range 10 {
		w.send(alice, bob.key, fmt.Sprint(n))
		later = later.Add(4 * time.Minute)
		w.engine.Sweep(later)
	}
	if !w.at(alice).Awake() {
		t.Error("it sleeps, although it was used every four minutes")
	}
	if c := w.engine.Counts(); c.Sleeps > 1 { // of bob alone, if he was slow to hear of it
		t.Errorf("%d went to sleep", c.Sleeps)
	}
}

// seedVariable repeats a random test: its seed.
const seedVariable = "ROOKERY_TEST_SEED"

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if given, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64); err == nil {
		seed = given
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with: %s=%d go test -run '^%s$' .", seedVariable, seed, t.Name())
		}
	})
	return rand.New(rand.NewPCG(seed, seed))
}

// Twelve identities write to each other while there is room for three, and are told to
// leave at any moment. Everything arrives once, and what one has written to another in
// the order in which it was written.
func TestTrafficOverSleepsLosesNothingAndKeepsItsOrder(t *testing.T) {
	const people, each = 12, 40
	random := seeded(t)
	w := newWorld(t, backends[1], func(o *rookery.Options) {
		o.MemoryBudget = 3 * (rookery.IdentityWeight + rookery.ContactWeight + rookery.SessionWeight)
	})
	var all []device
	for range people {
		all = append(all, w.person(1)[0])
	}
	for _, one := range all {
		for _, other := range all {
			if one != other {
				w.introduce(w.at(one), w.at(other))
			}
		}
	}
	var stop atomic.Bool
	var disturbing sync.WaitGroup
	disturb := rand.New(rand.NewPCG(random.Uint64(), 1))
	disturbing.Go(func() {
		later := w.now()
		for !stop.Load() {
			w.at(all[disturb.IntN(people)]).Evict()
			if disturb.IntN(20) == 0 {
				later = later.Add(time.Duration(disturb.IntN(400)) * time.Second)
				w.engine.Sweep(later)
			}
			time.Sleep(time.Duration(disturb.IntN(500)) * time.Microsecond)
		}
	})
	var sending sync.WaitGroup
	for n, from := range all {
		choice := rand.New(rand.NewPCG(random.Uint64(), uint64(n)))
		sending.Go(func() {
			written := make(map[int]int)
			for range each {
				to := choice.IntN(people)
				if to == n {
					continue
				}
				payload := fmt.Sprintf("%d %d %d", n, to, written[to])
				written[to]++
				if _, err := w.at(from).Send(w.context(), all[to].key, []byte(payload)); err != nil {
					t.Errorf("%s: %v", payload, err)
				}
			}
		})
	}
	sending.Wait()
	sent := int(w.engine.Counts().Sent)
	w.bag.await(t, "all messages", func(events []rookery.Event) bool { return len(payloads(events)) >= sent })
	stop.Store(true)
	disturbing.Wait()
	next := make(map[[2]int]int)
	for _, payload := range payloads(w.bag.all()) {
		var from, to, number int
		if _, err := fmt.Sscanf(payload, "%d %d %d", &from, &to, &number); err != nil {
			t.Fatal(err)
		}
		if want := next[[2]int{from, to}]; number != want {
			t.Errorf("from %d to %d: message %d arrived, want %d", from, to, number, want)
		}
		next[[2]int{from, to}] = number + 1
	}
	if n := w.engine.Counts().Sleeps; n < people {
		t.Errorf("only %d sleeps", n)
	}
	for _, e := range w.bag.all() {
		if r, ok := e.(rookery.Refused); ok {
			t.Errorf("refused: %v", r.Err)
		}
	}
}

// payloads are those of all messages, in the order of their events.
func payloads(events []rookery.Event) []string {
	var all []string
	for _, e := range events {
		if m, ok := e.(rookery.Message); ok {
			all = append(all, string(m.Payload))
		}
	}
	return all
}

func TestLeastRecentlyUsedIdentityMakesRoom(t *testing.T) {
	const people, fit = 12, 6
	const room = fit * (rookery.IdentityWeight + rookery.ContactWeight)
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.MemoryBudget = room })
	var all []device
	for range people {
		d := w.person(1)[0]
		all = append(all, d)
		w.settled(d)
	}
	w.asleep(all...)
	use := func(n int) {
		// With a contact below it, which is at no work: else it would leave unasked, or stay.
		if _, err := w.at(all[n]).Contact(w.context(), all[(n+1)%people].key); err != nil {
			t.Fatal(err)
		}
		w.settled(all[n])
	}
	for n := range fit {
		use(n)
	}
	use(0) // again: it is the one that stays
	for n := fit; n < fit+2; n++ {
		use(n)
		eventually(t, "room", func() bool {
			w.sweepNothing()
			return w.engine.InMemory() <= room
		})
	}
	for _, n := range []int{0, fit - 1, fit, fit + 1} {
		if !w.at(all[n]).Awake() {
			t.Errorf("%d sleeps, although it was used lately", n)
		}
	}
	for _, n := range []int{1, 2} {
		// It was asked to leave with another one, and may be on its way.
		eventually(t, fmt.Sprintf("the sleep of %d, which was not used for the longest time", n), func() bool {
			w.sweepNothing()
			return !w.at(all[n]).Awake()
		})
	}
}

// settled waits until nothing is under way for an installation.
func (w *world) settled(d device) {
	w.t.Helper()
	eventually(w.t, "rest", func() bool { return !w.at(d).Busy() })
}

// sweepNothing has the sweeper look at the budget; for everybody else no time passes.
func (w *world) sweepNothing() { w.engine.Sweep(time.Time{}) }

func TestBudgetIsKept(t *testing.T) {
	const people, fit = 60, 8
	const budget = fit * (rookery.IdentityWeight + rookery.ContactWeight + rookery.SessionWeight)
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.MemoryBudget = budget })
	var all []device
	for n := range people {
		all = append(all, w.person(1)[0])
		if n > 0 {
			w.introduce(w.at(all[n]), w.at(all[n-1]))
		}
	}
	for n := range people - 1 {
		w.send(all[n+1], all[n].key, "hello")
	}
	w.awaitMessages(1, all[:people-1]...)
	eventually(t, "room, and the sleep of those of whom only the identity is left", func() bool {
		w.sweepNothing()
		return w.engine.InMemory() <= budget && w.engine.Counts().Awake <= 2*fit
	})
	if w.engine.Counts().Awake == 0 {
		t.Error("all sleep")
	}
}

// A handler may send, and wait for it, while its identity is to leave memory.
func TestHandlerSendsWhileItsIdentityMakesRoom(t *testing.T) {
	const rounds = 20
	var w *world
	var bob device
	var alice atomic.Pointer[device]
	answered := make(chan error, rounds)
	w = newWorld(t, backends[1], func(o *rookery.Options) {
		o.Handler = func(e rookery.Event) {
			m, ok := e.(rookery.Message)
			if !ok {
				return
			}
			m.Ack()
			if a := alice.Load(); a == nil || m.Identity.PublicKey() == a.key {
				return
			}
			m.Identity.Evict()
			w.engine.Sweep(w.now().Add(time.Hour))
			_, err := m.Identity.Send(w.context(), m.Sender, []byte("answer"))
			answered <- err
		}
	})
	a := w.person(1)[0]
	bob = w.person(1)[0]
	alice.Store(&a)
	w.introduce(w.at(a), w.at(bob))
	for n := range rounds {
		w.send(a, bob.key, fmt.Sprint(n))
		select {
		case err := <-answered:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("the handler waits for ever")
		}
		w.asleep(bob)
	}
}

// Messages that the handler has not acknowledged are not reported again by a new life,
// and leave the store when they are.
func TestUnacknowledgedMessagesSurviveASleep(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	w.bag.keepAll()
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	for n := range 3 {
		w.send(alice, bob.key, fmt.Sprint(n))
	}
	w.awaitMessages(3, bob)
	w.asleep(alice, bob)
	got := messages(w.bag.all(), bob)
	got[1].Ack()
	eventually(t, "acknowledgement", func() bool { return count(t, store, persistence.KindInbox) == 2 })
	w.asleep(bob)
	w.air.deliver(w.air.history()) // all of it once more
	w.send(alice, bob.key, "3")
	w.awaitMessages(4, bob)
	for _, m := range messages(w.bag.all(), bob) {
		m.Ack()
	}
	eventually(t, "an empty inbox", func() bool { return count(t, store, persistence.KindInbox) == 0 })
	if n := len(messages(w.bag.all(), bob)); n != 4 {
		t.Errorf("%d messages were reported, want 4", n)
	}
}

// What the network does not take goes out when it can be reached, although the identity
// sleeps and nobody uses it.
func TestUnsentMessageGoesOutAfterASleep(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.refuseFrom(alice.key)
	w.send(alice, bob.key, "late")
	w.asleep(alice)
	w.air.setRule(nil)
	w.sweepUntil("the message", func() bool { return len(messages(w.bag.all(), bob)) == 1 })
	w.sweepUntil("an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
}

func TestUnsentMessageIsReportedAfterASleep(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store), func(o *rookery.Options) { o.KeepUnsent = time.Hour })
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.air.refuseFrom(alice.key)
	receipt := w.send(alice, bob.key, "never")
	w.asleep(alice)
	w.pass(2 * time.Hour)
	w.sweepUntil("the report", func() bool { return len(these[rookery.Unsent](w.bag.all(), alice)) > 0 })
	if e := awaitThese[rookery.Unsent](w, 1, alice); e.ID != receipt.ID {
		t.Errorf("got %+v", e)
	}
	eventually(t, "an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
	w.asleep(alice)
	w.sweep()
	if n := len(these[rookery.Unsent](w.bag.all(), alice)); n != 1 {
		t.Errorf("reported %d times", n)
	}
}

// A device that was left out says so once, and not once in each of its lives.
func TestCoolDownsSurviveASleep(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)
	w.introduce(w.at(alice), w.at(bob[0]))
	second, err := w.at(bob[0]).AddInstallation(w.context()) // of which alice knows nothing
	if err != nil {
		t.Fatal(err)
	}
	other := device{second.PublicKey(), second.InstallationID()}
	w.air.setRule(holdIf(func(e transport.Envelope) bool { return e.Sender == other.key && isAdvertisement(e) }))
	for n := range 4 {
		w.send(alice, bob[0].key, fmt.Sprint(n))
		w.bag.await(t, "refusals", func(events []rookery.Event) bool { return len(these[rookery.Refused](events, other)) > n })
		w.settled(other)
		w.asleep(other)
	}
	if n := w.air.holding(); n != 1 {
		t.Errorf("%d answers, want 1", n)
	}
}

// A lease keeps its identity in memory, and when it is gone after all the next message
// gets another one.
func TestDirectSurvivesASleep(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	d := w.direct(alice, bob.key)
	w.carry(alice, bob.key, w.encrypt(d, "0"))
	w.settled(alice)
	for range 100 {
		w.at(alice).Evict()
	}
	w.settle(alice, bob.key) // it has heard that
	if !w.at(alice).Awake() {
		t.Error("it was evicted while a lease is in use")
	}
	w.carry(alice, bob.key, w.encrypt(d, "1"))
	later := w.now()
	eventually(t, "sleep", func() bool {
		later = later.Add(6 * time.Minute)
		w.engine.Sweep(later)
		return !w.at(alice).Awake()
	})
	w.carry(alice, bob.key, w.encrypt(d, "2"))
	w.awaitMessages(3, bob)
	if got := fmt.Sprint(payloads(w.bag.all())); got != "[0 1 2]" {
		t.Errorf("got %s", got)
	}
}

func TestGroupMessageWakesAllItNeeds(t *testing.T) {
	w := newWorld(t, backends[1])
	alice := w.person(1)[0]
	var members []device
	var keys []rookery.PublicKey
	for range 5 {
		d := w.person(1)[0]
		members, keys = append(members, d), append(keys, d.key)
		w.introduce(w.at(alice), w.at(d))
	}
	for n := range 3 {
		w.asleep(append(members, alice)...)
		for _, r := range w.at(alice).SendGroup(w.context(), keys, []byte("to all")) {
			if r.Err != nil || !r.ForwardSecrecy {
				t.Errorf("%+v", r)
			}
		}
		w.awaitMessages(n+1, members...)
	}
}

// A first message that waits for a contact code is not lost when there is need of room.
func TestPendingLookUpKeepsItsIdentityAwake(t *testing.T) {
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.LookUpWait = patience })
	alice, bob := w.person(1)[0], w.person(1)[0]
	type outcome struct {
		receipt rookery.Receipt
		err     error
	}
	sent := make(chan outcome, 1)
	go func() {
		r, err := w.at(alice).Send(w.context(), bob.key, []byte("hello"))
		sent <- outcome{r, err}
	}()
	eventually(t, "send", func() bool { return w.at(alice).Busy() })
	later := w.now()
	for range 20 {
		w.at(alice).Evict()
		later = later.Add(time.Second)
		w.engine.Sweep(later)
	}
	eventually(t, "a contact code that it hears", func() bool { // the network tells none from before it listens
		published := make(chan error, 1)
		if err := w.at(bob).PublishContactCode(w.context(), func(err error) { published <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-published; err != nil {
			t.Fatal(err)
		}
		select {
		case o := <-sent:
			if o.err != nil || !o.receipt.ForwardSecrecy {
				t.Errorf("%+v", o)
			}
			return true
		default:
			return false
		}
	})
	w.awaitMessages(1, bob)
}

func TestContactRequestSurvivesASleep(t *testing.T) {
	w, alice, bob, _ := strangers(t, rookery.Ask, true)
	w.send(alice, bob.key, "may I?")
	awaitThese[rookery.ContactRequest](w, 1, bob)
	w.asleep(alice, bob)
	if s := w.standing(bob, alice); s != deviceactor.Requested {
		t.Errorf("alice is %v", s)
	}
	w.asleep(bob)
	if err := w.at(bob).Accept(w.context(), alice.key); err != nil {
		t.Fatal(err)
	}
	w.asleep(bob)
	w.send(alice, bob.key, "thank you")
	w.awaitMessages(1, bob)
}

// Lists of thousands of identities, as the console asks for them, let all of them sleep.
func TestQuestionsAboutContactsWakeNobody(t *testing.T) {
	w := newWorld(t, backends[1])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
	w.asleep(alice, bob)
	before := w.engine.Counts().Wakes
	i := w.at(alice)
	if n, err := i.Waiting(w.context()); n != 0 || err != nil {
		t.Errorf("%d wait, %v", n, err)
	}
	contacts := 0
	for _, err := range i.Contacts(w.context()) {
		if err != nil {
			t.Error(err)
		}
		contacts++
	}
	if contacts != 1 {
		t.Errorf("%d contacts", contacts)
	}
	if _, err := i.Explain(w.context(), bob.key); err != nil {
		t.Error(err)
	}
	if wakes := w.engine.Counts().Wakes - before; wakes != 0 || i.Awake() {
		t.Errorf("%d were woken", wakes)
	}
}

// Those that are due are woken one after the other and not at once, which everybody
// else would notice. In the bubble a wake is over before the next one.
func TestUpkeepIsSpreadOverTheSweep(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, backends[1], func(o *rookery.Options) {
			o.SweepNever()
			o.Schedule = bundleactor.DefaultSchedule()
			o.Schedule.Publish = 2 * rookery.SweepEvery // all are due with each sweep
		})
		w.pass(sinceBubbles)
		const sleeping = 4
		for range sleeping {
			w.person(1)
		}
		w.reopen()
		before := w.engine.Counts().Wakes
		w.engine.Sweep(w.now())
		for woken := range uint64(sleeping) {
			synctest.Wait()
			if n := w.engine.Counts().Wakes - before; n != woken+1 {
				t.Fatalf("%d woke, want %d", n, woken+1)
			}
			time.Sleep(rookery.SweepEvery/(sleeping+1) + time.Millisecond)
		}
	})
}

// Retired prekeys and expired sessions are looked after of those who sleep, who go back
// to sleep without having been used. In the bubble each sweep is over before the next.
func TestUpkeepWakesAndLetsGo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, backends[1])
		w.pass(sinceBubbles)
		alice, bob := w.person(1)[0], w.person(1)[0]
		w.introduce(w.at(alice), w.at(bob))
		w.send(alice, bob.key, "hello")
		w.awaitMessages(1, bob)
		w.reopen() // nobody was used in this engine
		before := w.engine.Counts()
		later := w.now()
		w.engine.Sweep(later)
		synctest.Wait()
		if n := w.engine.Counts().Wakes; n != before.Wakes+1 {
			t.Errorf("%d woke with the first sweep", n-before.Wakes)
		}
		for n := 0; w.engine.Counts().Wakes < before.Wakes+2 || w.engine.Counts().Awake > 0; n++ {
			if n > 240 {
				t.Fatal("they are awake after 4 minutes")
			}
			later = later.Add(time.Second)
			w.engine.Sweep(later)
			synctest.Wait()
		}
	})
}
