package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/internal/footprint"
	"github.com/rookery-im/rookery/transport/memory"
)

// demoWorld is the application of the demo: it sends, and checks what arrives.
type demoWorld struct {
	command  *DemoCmd
	network  *memory.Network
	progress *progress
	patience func(tally) time.Duration // for the next arrival, when all is sent

	people [][]*rookery.Identity // by identity, then installation

	mu         sync.Mutex
	got        map[arrival]bool
	arrived    tally
	latencies  []time.Duration
	refused    map[string]int
	wrong      error
	duplicates uint64

	sent atomic.Int64
	late atomic.Bool // what arrives from now on was held back by the network
}

// arrival is one message, or the copy of one, at one installation.
type arrival struct {
	installation string
	number       uint32
}

// demoPatience is how long nothing more may come before the rest is lost: a busy
// machine makes pauses.
const demoPatience = time.Minute

func newDemoWorld(c *DemoCmd, network *memory.Network, p *progress) *demoWorld {
	return &demoWorld{
		command: c, network: network, progress: p, patience: func(tally) time.Duration { return demoPatience },
		got: make(map[arrival]bool), refused: make(map[string]int),
	}
}

// parallel is how many goroutines set up and talk at a time.
func parallel() int { return 32 * runtime.GOMAXPROCS(0) }

func (w *demoWorld) run(ctx context.Context, engine *rookery.Engine) (*demoResult, error) {
	start := time.Now()
	stop := w.progress.every(200*time.Millisecond, func() string {
		c, arrived := engine.Counts(), w.soFar()
		return fmt.Sprintf("%d identities  sent %d  delivered %d  copies %d  sessions %d  DH steps %d",
			len(engine.Identities())/w.command.Devices, c.Sent, arrived.messages, arrived.copies, c.SessionsStarted, c.RatchetSteps)
	})
	defer stop()
	if err := w.setUp(ctx, engine); err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	talking := time.Now()
	if err := w.talk(ctx); err != nil {
		return nil, fmt.Errorf("talk: %w", err)
	}
	want := w.want()
	if err := w.settle(ctx, want); err != nil {
		return nil, err
	}
	runtime.GC()
	r := &demoResult{
		command: *w.command,
		setUp:   talking.Sub(start),
		talk:    time.Since(talking),
		want:    want,
		counts:  engine.Counts(),
		network: w.network.Counts(),
		memory:  footprint.Memory(),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r.arrived, r.duplicates, r.refused = w.arrived, w.duplicates, w.refused
	r.p50, r.p99 = percentile(w.latencies, 50), percentile(w.latencies, 99)
	if w.wrong == nil && (r.arrived.discovered != want.discovered || r.arrived.approved != want.approved) {
		w.wrong = fmt.Errorf("%w: %d devices discovered and %d approved, want %d of each",
			errBadResult, r.arrived.discovered, r.arrived.approved, want.approved)
	}
	return r, w.wrong
}

// want is what has to arrive of what was sent.
func (w *demoWorld) want() tally {
	sent, devices := int(w.sent.Load()), w.command.Devices
	pairings := w.command.Identities * devices * (devices - 1)
	return tally{messages: sent * devices, copies: sent * (devices - 1), discovered: pairings, approved: pairings}
}

func (w *demoWorld) soFar() tally {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrived
}

// setUp makes the identities, approves their second devices, and lets each
// device of a pair know the other identity's bundle.
func (w *demoWorld) setUp(ctx context.Context, engine *rookery.Engine) error {
	w.people = make([][]*rookery.Identity, w.command.Identities)
	err := each(w.command.Identities, func(n int) error {
		first, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
		if err != nil {
			return err
		}
		devices := []*rookery.Identity{first}
		for len(devices) < w.command.Devices {
			device, err := first.AddInstallation(ctx)
			if err != nil {
				return err
			}
			devices = append(devices, device)
		}
		w.people[n] = devices
		return pair(ctx, devices)
	})
	if err != nil {
		return err
	}
	return each(w.command.Identities, func(n int) error {
		peer := w.people[n^1][0]
		bundle, err := peer.Bundle(ctx)
		if err != nil {
			return err
		}
		for _, device := range w.people[n] {
			if err := device.TakeBundle(ctx, peer.PublicKey(), bundle); err != nil {
				return err
			}
		}
		return nil
	})
}

// pair lets the devices of one identity approve each other.
func pair(ctx context.Context, devices []*rookery.Identity) error {
	for _, a := range devices {
		for _, b := range devices {
			if a == b {
				continue
			}
			bundle, err := b.Bundle(ctx)
			if err != nil {
				return err
			}
			if err := a.TakeBundle(ctx, a.PublicKey(), bundle); err != nil {
				return err
			}
			if err := a.Approve(ctx, a.PublicKey(), b.InstallationID()); err != nil {
				return err
			}
		}
	}
	return nil
}

// talk runs one conversation for each pair: both sides write in turn, each
// time from the next of their devices, without waiting for an answer.
func (w *demoWorld) talk(ctx context.Context) error {
	perPair := w.command.Messages / w.command.pairs()
	return each(w.command.pairs(), func(n int) error {
		for turn := range perPair {
			from := w.people[2*n+turn%2]
			to := w.people[2*n+(turn+1)%2][0]
			device := from[turn/2%len(from)]
			number := uint32(n*perPair + turn)
			if err := w.send(ctx, device, to.PublicKey(), number); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *demoWorld) send(ctx context.Context, from *rookery.Identity, to rookery.PublicKey, number uint32) error {
	payload := binary.BigEndian.AppendUint32(nil, number)
	payload = binary.BigEndian.AppendUint64(payload, uint64(time.Now().UnixNano()))
	payload = fmt.Appendf(payload, "message %d from %v to %v", number, from.PublicKey(), to)
	for {
		receipt, err := from.Send(ctx, to, payload)
		if errors.Is(err, cause.ErrOverloaded) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err == nil && (len(receipt.Installations) != w.command.Devices || !receipt.ForwardSecrecy) {
			err = fmt.Errorf("message %d went to %d installations, forward secrecy %v", number, len(receipt.Installations), receipt.ForwardSecrecy)
		}
		if err == nil {
			w.sent.Add(1)
		}
		return err
	}
}

// handle checks every message and every copy that arrives: right sender, right
// content, once.
func (w *demoWorld) handle(e rookery.Event) {
	switch e := e.(type) {
	case rookery.Message:
		w.take(e, e.Identity.PublicKey(), &w.arrived.messages)
		e.Ack()
	case rookery.SentElsewhere:
		w.take(e.Message, e.Recipient, &w.arrived.copies)
		e.Ack()
	case rookery.InstallationDiscovered:
		w.count(e.Contact == e.Identity.PublicKey() && !e.Enabled, &w.arrived.discovered)
	case rookery.InstallationEnabled:
		w.count(e.Contact == e.Identity.PublicKey() && e.Enabled, &w.arrived.approved)
	case rookery.Refused:
		w.refuse(e.Err)
	}
}

func (w *demoWorld) count(is bool, in *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if is {
		*in++
	}
}

func (w *demoWorld) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(err, cause.ErrDuplicate) {
		w.duplicates++
	} else {
		w.refused[err.Error()]++
	}
}

// take checks a message, or the copy of one that went to the recipient.
func (w *demoWorld) take(m rookery.Message, recipient rookery.PublicKey, in *int) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(m.Payload) < 12 {
		w.wrong = fmt.Errorf("%w: a payload of %d bytes arrived that nobody sent", errBadResult, len(m.Payload))
		return
	}
	number := binary.BigEndian.Uint32(m.Payload)
	want := fmt.Sprintf("message %d from %v to %v", number, m.Sender, recipient)
	key := arrival{m.Identity.InstallationID(), number}
	switch {
	case string(m.Payload[12:]) != want:
		w.wrong = fmt.Errorf("%w: message %d arrived altered", errBadResult, number)
	case w.got[key]:
		w.wrong = fmt.Errorf("%w: message %d arrived twice", errBadResult, number)
	default:
		w.got[key] = true
		*in++
		if in == &w.arrived.messages && !w.late.Load() {
			sent := time.Unix(0, int64(binary.BigEndian.Uint64(m.Payload[4:])))
			w.latencies = append(w.latencies, now.Sub(sent))
		}
	}
}

// settle makes good what the network lost until all has arrived, or nothing
// more comes.
func (w *demoWorld) settle(ctx context.Context, want tally) error {
	w.late.Store(true)
	var last tally
	for since := time.Now(); time.Since(since) < w.patience(last); {
		w.network.Redeliver()
		now := w.soFar()
		if now == want {
			return nil
		}
		if now != last {
			last, since = now, time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil // the summary says what is missing
}

// each calls f with 0..n-1 from several goroutines and gives the first error.
func each(n int, f func(int) error) error {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		once  sync.Once
		first error
	)
	for range min(n, parallel()) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
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

func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, len(values)*p/100)]
}
