package actors

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines that stay.
func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	if code == 0 {
		letGo()
	}
	return code
}

// letGo gives goroutines that are on their way out the time that a busy machine
// needs for them: goleak by itself looks for less than half a second.
func letGo(options ...goleak.Option) {
	for end := time.Now().Add(patience); goleak.Find(options...) != nil && time.Now().Before(end); {
	}
}

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 20 * time.Second

// probe is an Actor made of functions, any of which may be missing. It is always
// restless if it does not say otherwise.
type probe struct {
	start    func(*Context) error
	receive  func(*Context, any) error
	drained  func() bool
	restless func() bool
	closed   func()
}

func (p *probe) Start(ctx *Context) error {
	if p.start == nil {
		return nil
	}
	return p.start(ctx)
}

func (p *probe) Receive(ctx *Context, message any) error {
	if p.receive == nil {
		return nil
	}
	return p.receive(ctx, message)
}

func (p *probe) Drained() bool { return p.drained == nil || p.drained() }

func (p *probe) Restless() bool { return p.restless == nil || p.restless() }

func (p *probe) Close() {
	if p.closed != nil {
		p.closed()
	}
}

// ping is answered with its number by echo.
type ping struct {
	Reply[int]
	number int
}

// poison panics in echo.
type poison struct {
	Reply[int]
	id [32]byte
}

func (p poison) QuarantineID() [32]byte { return p.id }

// echo answers pings and panics on poison.
func echo(_ *Context, message any) error {
	switch m := message.(type) {
	case ping:
		m.Send(m.number)
	case poison:
		panic("poison")
	}
	return nil
}

func echoProbe() Actor { return &probe{receive: echo} }

func newTestSystem(t *testing.T, options Options) *System {
	t.Helper()
	system := NewSystem(options)
	t.Cleanup(func() { shutdown(t, system) })
	return system
}

func shutdown(t *testing.T, system *System) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := system.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// shutdownBubble also lets the moment pass for which a dead letter keeps a
// goroutine of protoactor: a bubble's time stands still at its end.
func shutdownBubble(t *testing.T, system *System) {
	t.Helper()
	shutdown(t, system)
	time.Sleep(time.Second)
}

func spawn(t *testing.T, system *System, name string, create func() Actor) Ref {
	t.Helper()
	ref, err := system.Spawn(name, create)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func ask(t *testing.T, to Ref, number int) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return Ask(ctx, to, func(r Reply[int]) any { return ping{Reply: r, number: number} })
}

func mustAsk(t *testing.T, to Ref, number int) {
	t.Helper()
	if got, err := ask(t, to, number); err != nil || got != number {
		t.Fatalf("ask %d: got %d, %v", number, got, err)
	}
}

// reach waits until the actor has handled what was told before.
func reach(t *testing.T, ref Ref) {
	t.Helper()
	if _, err := ask(t, ref, 0); err != nil {
		t.Fatal(err)
	}
}

// await fails the test when done does not close in time.
func await(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("not in time: %s", what)
	}
}

// answers collects the outcome of many messages.
type answers struct {
	sync.WaitGroup
	mu     sync.Mutex
	values []int
	errs   []error
}

func (a *answers) reply() Reply[int] {
	a.Add(1)
	return ReplyFunc(func(value int, err error) {
		defer a.Done()
		a.mu.Lock()
		defer a.mu.Unlock()
		if err != nil {
			a.errs = append(a.errs, err)
			return
		}
		a.values = append(a.values, value)
	})
}

// all waits until every reply has been answered.
func (a *answers) all(t *testing.T) (values []int, errs []error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		a.Wait()
		close(done)
	}()
	await(t, done, "an answer to every message")
	return a.values, a.errs
}
