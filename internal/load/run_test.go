package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/memory"
)

// lasting is a store in memory that an engine's Close leaves alone.
type lasting struct{ persistence.Store }

func (lasting) Close() error { return nil }

// inMemory is a place for a run that leaves nothing.
func inMemory(network transport.Transport) Environment {
	stores := make(map[int]persistence.Store)
	env := Environment{InProcess: true, Options: func(_ context.Context, engine int) (rookery.Options, error) {
		if stores[engine] == nil {
			stores[engine] = lasting{memstore.New()}
		}
		return rookery.Options{Store: stores[engine], Transport: network}, nil
	}}
	if n, ok := network.(*memory.Network); ok {
		env.Redeliver = n.Redeliver
	}
	return env
}

// onDisk is a place in a directory.
func onDisk(dir string) Environment {
	network := memory.New(1, memory.Faults{})
	return Environment{Dir: dir, InProcess: true, Redeliver: network.Redeliver, Options: func(_ context.Context, engine int) (rookery.Options, error) {
		name := filepath.Join(dir, "store-"+string(rune('0'+engine)))
		return rookery.Options{Dir: name, Unlock: rookery.KeyFile(name + ".key"), Transport: network}, nil
	}}
}

// ending is a network that ends something once it has taken so many messages.
type ending struct {
	transport.Transport
	after int64
	taken atomic.Int64
	end   func()
}

func (e *ending) Publish(envelope transport.Envelope, accepted func(error)) {
	if e.taken.Add(1) == e.after {
		e.end()
	}
	e.Transport.Publish(envelope, accepted)
}

func mustRun(t *testing.T, c Config, env Environment) *Result {
	t.Helper()
	r, err := Run(t.Context(), c, env, &Monitor{})
	if err != nil {
		t.Fatalf("%s: %v", c.Scenario, err)
	}
	return r
}

// Every scenario delivers everything, once and in order, to each device.
func TestScenariosDeliverEverything(t *testing.T) {
	for _, s := range Scenarios {
		for _, devices := range []int{1, 2} {
			for _, rate := range []float64{0, 200} {
				c := testConfig(s)
				c.Devices, c.Duration, c.WarmUp = devices, 400*time.Millisecond, 100*time.Millisecond
				if rate > 0 {
					c.Rate, c.InFlight = rate, 0
				}
				r := mustRun(t, c, inMemory(memory.New(1, memory.Faults{})))
				o := r.Outcomes
				if o.Lost != 0 || o.Duplicates != 0 || o.OutOfOrder != 0 || o.Wrong != 0 || o.Failed != 0 || o.Short != 0 {
					t.Errorf("%s, %d devices, rate %v: %+v", s, devices, rate, o)
				}
				if o.Sent == 0 || o.Expected != o.Sent*int64(devices) || o.Delivered != o.Expected {
					t.Errorf("%s, %d devices, rate %v: %d sent, %d to be delivered, %d delivered", s, devices, rate, o.Sent, o.Expected, o.Delivered)
				}
				if copies := o.Sent * int64(devices-1); o.Copies > copies {
					t.Errorf("%s, %d devices, rate %v: %d copies of %d", s, devices, rate, o.Copies, copies)
				}
				if r.Delivery.Count == 0 || r.Delivery.Max < r.Delivery.P50 || r.Durable.Count == 0 || r.Throughput <= 0 || r.Opening.First <= 0 {
					t.Errorf("%s, %d devices, rate %v: delivery %+v, durable %+v, throughput %v, first message after %v", s, devices, rate, r.Delivery, r.Durable, r.Throughput, r.Opening.First)
				}
				if r.Resources.Wire <= o.Sent*100 || r.Resources.Envelopes < o.Sent {
					t.Errorf("%s: %d envelopes of %d bytes for %d messages", s, r.Resources.Envelopes, r.Resources.Wire, o.Sent)
				}
			}
		}
	}
}

// What a run measures does not depend on how many pairs it comes to for the first time:
// one way they go on in a chain that both ends have, in an exchange each message takes a
// step of the DH ratchet, half of it at each end.
func TestFirstMessageOfAPairCostsWhatTheNextOnesDo(t *testing.T) {
	for s, halves := range map[Scenario]int64{OneWay: 0, Cold: 0, PingPong: 2} {
		for _, devices := range []int{1, 2} {
			c := testConfig(s)
			c.Devices, c.Duration, c.InFlight = devices, 400*time.Millisecond, 1
			o := mustRun(t, c, inMemory(memory.New(1, memory.Faults{}))).Outcomes
			exact := devices == 1 // of a second device it is not known whether it was there when the world was made
			if o.Sent == 0 || exact && (o.Started != 0 || o.RatchetSteps != halves*o.Sent) || halves == 0 && o.RatchetSteps != 0 {
				t.Errorf("%s, %d devices: %d messages sent, %d halves of DH ratchet steps, %d sessions started", s, devices, o.Sent, o.RatchetSteps, o.Started)
			}
		}
	}
}

// With a rate as many are sent as the plan has, however long they take.
func TestRateDecidesHowManyAreSent(t *testing.T) {
	c := testConfig(OneWay)
	c.Rate, c.InFlight, c.Duration, c.WarmUp = 300, 0, 500*time.Millisecond, 100*time.Millisecond
	r := mustRun(t, c, inMemory(memory.New(1, memory.Faults{})))
	if r.Outcomes.Sent != 180 || r.Delivery.Count != 150 {
		t.Errorf("%d sent, want 180; %d measured, want 150", r.Outcomes.Sent, r.Delivery.Count)
	}
}

func TestStormMakesASessionWithEachMessage(t *testing.T) {
	c := testConfig(Storm)
	c.Duration = time.Minute
	r := mustRun(t, c, inMemory(memory.New(1, memory.Faults{})))
	if pairs := int64(c.graph().Pairs()); r.Outcomes.Sent != pairs || r.Outcomes.Started != 2*pairs {
		t.Errorf("%d pairs: %d sent, %d sessions started", pairs, r.Outcomes.Sent, r.Outcomes.Started)
	}
}

// A cold run finds its identities asleep: after it was opened each has to be woken.
func TestColdRunWakesIdentities(t *testing.T) {
	c := testConfig(Cold)
	c.Rate, c.InFlight = 20, 0 // 20 of 40 pairs, so nobody is left out
	r := mustRun(t, c, inMemory(memory.New(1, memory.Faults{})))
	if r.Resources.Wakes < int64(c.Identities)/2 || r.Resources.Awake > r.Resources.Wakes {
		t.Errorf("%d identities, %d woken, %d awake", c.Identities, r.Resources.Wakes, r.Resources.Awake)
	}
}

func TestRekeyStormMakesNewSessions(t *testing.T) {
	c := testConfig(Rekey)
	c.Rate, c.InFlight, c.Duration = 40, 0, time.Second // each pair once
	r := mustRun(t, c, inMemory(memory.New(1, memory.Faults{})))
	if pairs := int64(c.graph().Pairs()); r.Outcomes.Rekeys < pairs {
		t.Errorf("%d pairs have made %d new sessions", pairs, r.Outcomes.Rekeys)
	}
}

// More may be under way than a round has exchanges: those of later rounds wait for the
// ones before, and these for nobody.
func TestRekeyStormWithMoreInFlightThanPairs(t *testing.T) {
	c := testConfig(Rekey)
	c.Identities, c.Contacts, c.InFlight, c.Drain = 4, 1, 32, time.Minute
	r := mustRun(t, c, inMemory(memory.New(1, memory.Faults{})))
	if o := r.Outcomes; o.Lost != 0 || o.Sent < 8 || r.Took+r.Drained >= c.Drain {
		t.Errorf("took %v and %v: %+v", r.Took, r.Drained, o)
	}
}

// However many days a re-key storm lets pass, an identity's second device, which writes
// to nobody, is written to: a prekey lasts for 15 days.
func TestRekeyStormReachesDevicesThatAreSilentForWeeks(t *testing.T) {
	c := testConfig(Rekey)
	c.Identities, c.Contacts, c.Devices = 10, 1, 2
	c.Rate, c.InFlight, c.Duration, c.WarmUp, c.Drain = 200, 0, time.Second, 0, 10*time.Second // 40 rounds
	r := mustRun(t, c, inMemory(memory.New(1, memory.Faults{})))
	o := r.Outcomes
	if o.Sent != 400 || o.Delivered != 800 || o.Short != 0 || o.Copies > 400 {
		t.Errorf("not everything has come: %+v", o)
	}
	if o.Refused != 0 || len(o.Alarms) != 0 || len(o.Errors) != 0 { // what is delivered again aside
		t.Errorf("refused for %v, alarms %v, errors %v", o.Causes, o.Alarms, o.Errors)
	}
}

// What a network loses, repeats and reorders is made good, and seen.
func TestFaultsOfTheNetworkAreSeen(t *testing.T) {
	c := testConfig(OneWay)
	c.Hot = 2
	r := mustRun(t, c, inMemory(memory.New(3, memory.Faults{Loss: 0.05, Duplicate: 0.2, Reorder: 0.2})))
	o := r.Outcomes
	if o.Lost != 0 || o.Delivered != o.Sent || o.Duplicates != 0 {
		t.Errorf("%+v", o)
	}
	if o.DuplicatesRefused == 0 || o.OutOfOrder == 0 {
		t.Errorf("nothing was repeated or overtaken: %+v", o)
	}
}

// dropping is a network that has lost every tenth message for good, once it is told
// to.
type dropping struct {
	transport.Transport
	on   atomic.Bool
	n    atomic.Int64
	lost atomic.Int64
}

func (d *dropping) Publish(e transport.Envelope, accepted func(error)) {
	if d.on.Load() && d.n.Add(1)%10 == 0 {
		d.lost.Add(1)
		accepted(nil)
		return
	}
	d.Transport.Publish(e, accepted)
}

// What does not arrive is counted as lost, exactly, and the run ends all the same.
func TestLossIsCounted(t *testing.T) {
	network := &dropping{Transport: memory.New(1, memory.Faults{})}
	c := testConfig(OneWay)
	c.Rate, c.InFlight, c.Drain = 200, 0, 200*time.Millisecond
	env := inMemory(network)
	options := env.Options
	openings := 0
	env.Options = func(ctx context.Context, engine int) (rookery.Options, error) {
		if openings++; openings == 2 { // the sessions are there
			network.on.Store(true)
		}
		return options(ctx, engine)
	}
	r := mustRun(t, c, env)
	if lost := network.lost.Load(); r.Outcomes.Lost != lost || lost == 0 || r.Outcomes.Delivered+r.Outcomes.Lost != r.Outcomes.Sent {
		t.Errorf("the network has lost %d: %+v", lost, r.Outcomes)
	}
}

// What Run refuses, it refuses before it makes anything.
func TestOtherDirectoriesAreRefused(t *testing.T) {
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "keyring"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, worldName), []byte(`{"format":1,"devices":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, worldName), []byte(`{"format":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ring := t.TempDir()
	if err := testConfig(OneWay).world().write(ring); err != nil {
		t.Fatal(err)
	}
	begun := t.TempDir()
	unfinished := testConfig(OneWay).world()
	unfinished.Identities, unfinished.Established = true, 3
	if err := unfinished.write(begun); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dir    string
		change func(*Config)
		want   error
	}{
		"something else":    {other, func(*Config) {}, ErrNotWorld},
		"a damaged one":     {damaged, func(*Config) {}, ErrNotWorld},
		"of a later format": {newer, func(*Config) {}, ErrNotWorld},
		"of other measures": {ring, func(c *Config) { c.Contacts = 6 }, ErrOtherWorld},
		"of other devices":  {ring, func(c *Config) { c.Devices = 2 }, ErrOtherWorld},
		"for one engine":    {ring, func(c *Config) { c.Scenario = Reconnect }, ErrOtherWorld},
		"of another shape":  {ring, func(c *Config) { c.Scenario, c.Contacts = Bot, 19 }, ErrOtherWorld},
		"unfinished":        {begun, func(*Config) {}, ErrUnfinished},
		"not fresh":         {begun, func(c *Config) { c.Scenario = Storm }, ErrUsed},
	} {
		before, err := os.ReadDir(test.dir)
		if err != nil {
			t.Fatal(err)
		}
		c := testConfig(OneWay)
		test.change(&c)
		if _, err := Run(t.Context(), c, onDisk(test.dir), &Monitor{}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		after, err := os.ReadDir(test.dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(before) != len(after) {
			t.Errorf("%s: something was made", name)
		}
	}
}

// A world whose making was ended goes on where it stopped, and serves one run after
// the other.
func TestCreateGoesOnWhereItWasEnded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "world")
	c := testConfig(OneWay)
	c.Identities, c.Contacts = 60, 6
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var m Monitor
	env := onDisk(dir)
	options := env.Options
	env.Options = func(ctx context.Context, engine int) (rookery.Options, error) {
		o, err := options(ctx, engine)
		o.Transport = &ending{Transport: o.Transport, after: 60, end: cancel}
		return o, err
	}
	_, err := Create(ctx, c, env, &m)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("ended with %v", err)
	}
	is, exists, err := ReadWorld(dir)
	if err != nil || !exists || !is.Identities || is.finished() {
		t.Fatalf("%+v, %v, %v", is, exists, err)
	}
	made, err := Create(t.Context(), c, onDisk(dir), &m)
	if err != nil || made.Identities != 0 || made.Pairs == 0 || !made.World.finished() {
		t.Fatalf("%+v, %v", made, err)
	}
	if made, err = Create(t.Context(), c, onDisk(dir), &m); err != nil || made.Pairs != 0 {
		t.Fatalf("a finished world: %+v, %v", made, err)
	}
	c.Duration = 200 * time.Millisecond
	for _, s := range []Scenario{OneWay, Cold} {
		c.Scenario = s
		r := mustRun(t, c, onDisk(dir))
		if o := r.Outcomes; r.SetUp != nil || o.Lost != 0 || o.Started != 0 || o.Sent == 0 {
			t.Errorf("%s: %+v", s, o)
		}
	}
}

func TestEndedRunSaysSo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	c := testConfig(OneWay)
	c.Duration = time.Hour
	if _, err := Run(ctx, c, inMemory(memory.New(1, memory.Faults{})), &Monitor{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A send whose context has ended may have been made: what it made room for is freed by
// its arrival alone.
func TestSendOfAnEndedRunThatArrivesAllTheSameIsFreedOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := newRun(ctx, Config{Scenario: OneWay, Identities: 2, Contacts: 1, Devices: 1, InFlight: 1}, nil, nil)
	defer r.answers.end()
	if !r.room.TryAcquire(1) {
		t.Fatal("no room for the first")
	}
	cancel()
	r.sent(0, 0, 0, rookery.Receipt{}, ctx.Err())
	r.free(1) // it arrives
	if !r.room.TryAcquire(1) || r.room.TryAcquire(1) {
		t.Error("there is not room for one")
	}
}

func TestCausesAreToldApartByTheInnermost(t *testing.T) {
	var o tally
	for range 3 {
		o.refuse(errors.Join(cause.ErrReplayed))
	}
	o.refuse(cause.ErrForged)
	if o.refused[cause.ErrDuplicate.Error()] != 3 || len(o.refused) != 2 {
		t.Errorf("%v", o.refused)
	}
	for i := range 2 * maxCauses {
		o.fail(errors.New(strings.Repeat("x", i+1)))
	}
	if len(o.errors) > maxCauses+1 || o.errors["others"] != maxCauses {
		t.Errorf("%d causes, %d others", len(o.errors), o.errors["others"])
	}
}
