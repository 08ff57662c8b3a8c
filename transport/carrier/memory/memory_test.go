package memory

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/carriertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conforming is a network as the suite sees it.
func conforming(o Options) func(t *testing.T) carriertest.Network {
	return func(*testing.T) carriertest.Network {
		n := New(o)
		return carriertest.Network{
			Open:               func(testing.TB) carrier.Carrier { return n.Open() },
			HasHistory:         !o.History.Off,
			KeepsAcrossRestart: !o.History.Off,
			Exact:              o.Faults.Foreign == 0,
			Cut:                func(_ testing.TB, c carrier.Carrier) func() { return c.(*Carrier).Cut() },
			Outage:             func(testing.TB) func() { return n.Outage() },
			Restart: func(testing.TB) {
				restore := n.Outage()
				time.Sleep(20 * time.Millisecond)
				restore()
			},
			Many:     800,
			Patience: time.Minute,
		}
	}
}

// T17: what the port allows, receivers get: the suite has to bear it too.
func TestConforms(t *testing.T) {
	for name, options := range map[string]Options{
		"without faults":    {},
		"without history":   {Queue: 250, History: History{Off: true}},
		"with room for few": {Queue: 4},
		"with all that the port allows": {Seed: 1, Faults: Faults{
			Busy: 0.05, Unsure: 0.05, Duplicate: 0.2, Reorder: 0.2, Foreign: 0.2, Delay: 3 * time.Millisecond,
		}},
	} {
		t.Run(name, func(t *testing.T) { carriertest.Run(t, conforming(options)) })
	}
}

const topic = carrier.Topic("/rookery/1/test/test")

// message is the one of this number.
func message(number int) carrier.Message {
	return carrier.Message{Topic: topic, Payload: fmt.Appendf(nil, "message %d", number), Time: int64(number + 1)}
}

// receiver notes what comes, as one line each.
type receiver struct {
	mu    sync.Mutex
	lines []string
	gaps  []int64
	hold  chan struct{}
}

func (r *receiver) Deliver(m carrier.Received) {
	if r.hold != nil {
		<-r.hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(m.Payload))
}

func (r *receiver) Gap(since int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaps = append(r.gaps, since)
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

func (r *receiver) told() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int64(nil), r.gaps...)
}

// open opens a carrier that has subscribed to the topic.
func open(t *testing.T, n *Network) (*Carrier, *receiver) {
	t.Helper()
	r := &receiver{}
	return openFor(t, n, r), r
}

func openFor(t *testing.T, n *Network, r *receiver) *Carrier {
	t.Helper()
	c := n.Open()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	c.Receive(r)
	if err := c.Subscribe(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	return c
}

// publish publishes the messages of these numbers, and gives what became of them.
func publish(t *testing.T, c *Carrier, from, to int) []error {
	t.Helper()
	errs := make([]error, to-from)
	var told sync.WaitGroup
	for i := range errs {
		told.Add(1)
		c.Publish(message(from+i), func(err error) {
			errs[i] = err
			told.Done()
		})
	}
	told.Wait()
	return errs
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// settled waits until the receivers have all that the network will deliver.
func settled(t *testing.T, n *Network) {
	t.Helper()
	eventually(t, "everything is delivered", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		got := 0
		for _, c := range n.carriers {
			if len(c.queue.waiting) > 0 || c.hasGap {
				return false
			}
			got += len(c.receiver.(*receiver).got())
		}
		return uint64(got) == n.counts.Delivered // the last one may be on its way
	})
}
