package sessionactor

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// TestMain looks for goroutines that stay.
func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient gives goroutines that are on their way out the time that a busy machine
// needs for them: goleak by itself looks for less than half a second.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(patience); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
	}
	return code
}

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 20 * time.Second

// limited gives so many bytes and then an error.
type limited struct {
	from io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, errors.New("no more randomness")
	}
	n, err := l.from.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// unsteady is a randomness that panics when it is told to.
type unsteady struct {
	mu     sync.Mutex
	from   io.Reader
	panics atomic.Bool
}

func (u *unsteady) Read(p []byte) (int, error) {
	if u.panics.CompareAndSwap(true, false) {
		panic("no randomness")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.from.Read(p)
}

// hosted is a session actor whose records nobody commits unless the test does.
type hosted struct {
	*side
	ref      actors.Ref
	stored   *shelf
	random   *unsteady
	handover *Handover
	corrupt  chan error
}

func host(t *testing.T, s *side) *hosted {
	t.Helper()
	h := &hosted{
		side: s, stored: newShelf(), random: &unsteady{from: s.rand},
		handover: &Handover{}, corrupt: make(chan error, 10),
	}
	system := actors.NewSystem(actors.Options{OnCorrupt: func(_ string, err error) { h.corrupt <- err }})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := system.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	ref, err := system.Spawn("session", func() actors.Actor {
		return New(Config{
			Identity: &s.key, Place: s.place(), Reader: h.stored, Random: h.random,
			Limits: ratchet.DeployedLimits(), Handover: h.handover,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	h.ref = ref
	return h
}

func (h *hosted) encrypt(t *testing.T, payload string) (Encrypted, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	own := h.entry()
	return actors.Ask(ctx, h.ref, func(r actors.Reply[Encrypted]) any {
		return &Encrypt{Reply: r, Payload: []byte(payload), Entry: &h.peer, Own: &own, Now: 10}
	})
}

func (h *hosted) decrypt(t *testing.T, p packet) (Decrypted, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return actors.Ask(ctx, h.ref, func(r actors.Reply[Decrypted]) any {
		return &Decrypt{Reply: r, Incoming: h.incoming(p), Now: 10}
	})
}

func (h *hosted) mustEncrypt(t *testing.T, payload string) Encrypted {
	t.Helper()
	e, err := h.encrypt(t, payload)
	if err != nil {
		t.Fatalf("encrypt %q: %v", payload, err)
	}
	return e
}

func (h *hosted) expire(t *testing.T, usable []x3dh.PreKeyPublic, now int64) ExpiredSessions {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := actors.Ask(ctx, h.ref, func(r actors.Reply[ExpiredSessions]) any {
		return Expire{Reply: r, Usable: usable, Now: now}
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestActorExpiresAndDeletes(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	h := host(t, bob)
	keep := func(records []persistence.Record) {
		h.stored.apply(records)
		h.handover.Settle()
	}
	decrypt := func(p packet) {
		t.Helper()
		d, err := h.decrypt(t, p)
		if err != nil {
			t.Fatal(err)
		}
		keep(d.Records)
	}
	decrypt(alice.send(t, "1", 10))
	bob.rotate(t, 11)
	alice.peer = bob.entry()
	alice.send(t, "lost", 12)
	decrypt(alice.send(t, "re-keyed", 12))
	early := h.expire(t, prekeys(bob), 10+retention-1)
	keep(early.Records)
	if len(early.Records)+len(early.Transitions) != 0 {
		t.Errorf("expired too early: %v", early)
	}
	due := h.expire(t, prekeys(bob), 10+retention)
	keep(due.Records)
	if len(due.Transitions) != 1 || due.Transitions[0].To != Deleted || len(due.Records) != 1 {
		t.Errorf("got %v", due)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all, err := actors.Ask(ctx, h.ref, func(r actors.Reply[DeletedAll]) any { return Delete{r} })
	if err != nil {
		t.Fatal(err)
	}
	keep(all.Records)
	if len(h.stored.values) != 0 {
		t.Errorf("%d records are left", len(h.stored.values))
	}
	if e := h.mustEncrypt(t, "anew"); !e.Started || len(e.Transitions) != 0 {
		t.Errorf("got %+v", e)
	}
}

// T11: the panic costs the message that was handled; the next one uses the next
// key, though the store knows of none of it.
func TestPanicContinuesFromTheStateHandedOver(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	h := host(t, alice)
	first := h.mustEncrypt(t, "1")
	h.random.panics.Store(true)
	if _, err := h.encrypt(t, "costs"); !errors.Is(err, actors.ErrQuarantined) {
		t.Fatalf("got %v", err)
	}
	second := h.mustEncrypt(t, "2")
	if second.Started || second.Part.DR.N != first.Part.DR.N+1 {
		t.Fatalf("after the panic: number %d, a new session: %v", second.Part.DR.N, second.Started)
	}
	bob.receive(t, packet{first.Part, alice.entry(), "1"}, 11)
	bob.receive(t, packet{second.Part, alice.entry(), "2"}, 11)
}

// Once its records are with the committer, the store counts and the handover
// lets go of the state.
func TestSettledStateIsReadFromTheStore(t *testing.T) {
	alice, _ := newPair(t, t.Name())
	h := host(t, alice)
	panics := func() {
		t.Helper()
		h.random.panics.Store(true)
		if _, err := h.encrypt(t, "costs"); !errors.Is(err, actors.ErrQuarantined) {
			t.Fatalf("got %v", err)
		}
	}
	for i := range uint32(3) {
		e := h.mustEncrypt(t, "x")
		if e.Part.DR.N != i || e.Started != (i == 0) {
			t.Fatalf("number %d, started %v, want %d", e.Part.DR.N, e.Started, i)
		}
		h.stored.apply(e.Records)
		h.handover.Settle()
		panics()
	}
	clear(h.stored.values)
	if e := h.mustEncrypt(t, "x"); !e.Started {
		t.Error("a state that the store does not have")
	}
}

func TestRefusedMessageIsAnAnswerAndNoFailure(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	h := host(t, bob)
	p := alice.send(t, "x", 10)
	forged := p.altered(func(part *wire.Part) { part.Payload[3] ^= 1 })
	if _, err := h.decrypt(t, forged); !errors.Is(err, ratchet.ErrMAC) {
		t.Fatalf("got %v", err)
	}
	if got := h.handover.unsettled.Load(); got != 0 {
		t.Errorf("%d answers to settle after a refusal", got)
	}
	d, err := h.decrypt(t, p)
	if err != nil || string(d.Payload) != "x" || !d.Started || !d.Turned || len(d.Records) == 0 {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestStoreThatCannotBeReadIsTriedAgain(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	h := host(t, bob)
	h.stored.err = errors.New("disk on fire")
	p := alice.send(t, "x", 10)
	if _, err := h.decrypt(t, p); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if d, err := h.decrypt(t, p); err != nil || string(d.Payload) != "x" {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestCorruptSessionStopsTheActor(t *testing.T) {
	alice, r := sample(t)
	r.Status = 9
	value, err := proto.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	h := host(t, alice)
	h.stored.values[alice.place().session(ID{1})] = value
	if _, err := h.encrypt(t, "x"); !errors.Is(err, ErrCorrupt) || !errors.Is(err, actors.ErrCorruptState) {
		t.Errorf("got %v", err)
	}
	select {
	case err := <-h.corrupt:
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("reported %v", err)
		}
	case <-time.After(patience):
		t.Error("not reported")
	}
}
