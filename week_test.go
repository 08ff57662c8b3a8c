package rookery_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport/carrier"
	carriers "github.com/rookery-im/rookery/transport/carrier/memory"
)

// clock is one for engines and network, which only goes when it is told to.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

// watched is a carrier that counts what the engine holds: envelopes of the history that
// it was given and has not dealt with.
type watched struct {
	*carriers.Carrier
	since    int64        // ns: what the network has had before that does not count
	pages    atomic.Int64 // envelopes of the history
	inFlight func() int64
	most     atomic.Int64
}

func (w *watched) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	return w.Carrier.History(ctx, topics, since, until, func(r carrier.Received) error {
		err := each(r)
		if r.At < w.since {
			return err
		}
		given := w.pages.Add(1)
		w.most.Store(max(w.most.Load(), given-w.inFlight()))
		return err
	})
}

// A client that was offline for a simulated week catches up through the store in order,
// in bounded memory: what its contacts wrote to it in seven days comes when it is back,
// of each contact in the order in which it was written and each once, and never does the
// engine hold more than MaxInFlight and MaxUnhandled.
func TestWeekOfflineComesBackInOrder(t *testing.T) {
	const contacts, days, perDay = 2, 7, 170 // more in a row than the 1,000 that may be skipped
	c := newClock()
	network := carriers.New(carriers.Options{Seed: 1, Now: c.now, Queue: 1 << 14})
	timed := func(o *rookery.Options) {
		o.Now = c.now
		o.SweepNever() // no contact codes among what is counted, however long it takes
	}
	there := newPlace(t, network, timed)
	here := newPlace(t, network, timed)
	bob := here.identity()
	writers := make([]*rookery.Identity, contacts)
	number := make(map[rookery.PublicKey]int)
	for n := range writers {
		writers[n] = there.identity()
		number[writers[n].PublicKey()] = n
		there.say(writers[n], bob, here, "first")
		here.say(bob, writers[n], there, "answer")
		there.say(writers[n], bob, here, "second") // both have a session now
	}
	here.close()
	c.pass(time.Second)
	away := c.now().UnixNano()

	for day := range days {
		for n := range perDay {
			for _, writer := range writers {
				r, err := writer.Send(patient(t), bob.PublicKey(), fmt.Appendf(nil, "day %d number %03d", day, n))
				if err != nil {
					t.Fatal(err)
				}
				if n == perDay-1 {
					if err := writer.AwaitTaken(patient(t), bob.PublicKey(), r.ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			c.pass(24 * time.Hour / perDay)
		}
	}
	eventually(t, "all are with the network", func() bool { return network.Counts().Published >= contacts*days*perDay })

	const unhandled, underWay = 64, 128
	var mu sync.Mutex
	var handled atomic.Int64
	next := make([]int, contacts)
	var wrong []string
	w := &watched{Carrier: network.Open(), since: away, inFlight: handled.Load}
	engine, err := rookery.Open(t.Context(), rookery.Options{
		Store: lasting{here.store}, Carrier: w, Now: c.now, MaxUnhandled: unhandled, MaxInFlight: underWay, MaxInFlightPerContact: underWay,
		Handler: func(e rookery.Event) {
			m, ok := e.(rookery.Message)
			if !ok {
				if r, refused := e.(rookery.Refused); refused {
					mu.Lock()
					wrong = append(wrong, r.Err.Error())
					mu.Unlock()
				}
				return
			}
			mu.Lock()
			n := number[m.Sender]
			if want := fmt.Sprintf("day %d number %03d", next[n]/perDay, next[n]%perDay); string(m.Payload) != want {
				wrong = append(wrong, fmt.Sprintf("%q instead of %q", m.Payload, want))
			}
			next[n]++
			mu.Unlock()
			handled.Add(1)
			m.Ack()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	here.engine = engine
	const all = contacts * days * perDay
	for deadline := time.Now().Add(3 * patience); handled.Load() < all && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		enough := len(wrong) > 10
		mu.Unlock()
		if enough {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if handled.Load() != all || len(wrong) > 0 {
		t.Errorf("%d of %d came, %v of each; wrong: %q", handled.Load(), all, next, wrong)
	}
	if most := w.most.Load(); most > unhandled+underWay+contacts {
		t.Errorf("%d envelopes held at a time", most)
	}
}
