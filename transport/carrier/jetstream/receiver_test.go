package jetstream_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// patience is how long something that has to happen may take.
const patience = time.Minute

// inbox takes what a carrier hands up.
type inbox struct {
	mu   sync.Mutex
	got  map[carrier.Hash]int
	gaps []int64
	then func(carrier.Received)
}

func newInbox() *inbox { return &inbox{got: make(map[carrier.Hash]int)} }

func (i *inbox) Deliver(r carrier.Received) {
	i.mu.Lock()
	i.got[r.Hash()]++
	then := i.then
	i.mu.Unlock()
	if then != nil {
		then(r)
	}
}

func (i *inbox) Gap(since int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.gaps = append(i.gaps, since)
}

// count is how many of the messages came, and how often one came in the most.
func (i *inbox) count(messages []carrier.Message) (came, most int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k := range messages {
		if n := i.got[messages[k].Hash()]; n > 0 {
			came++
			most = max(most, n)
		}
	}
	return came, most
}

func (i *inbox) gapsTold() []int64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.gaps
}

func (i *inbox) gets(t testing.TB, messages []carrier.Message) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d messages come", len(messages)), func() bool {
		came, _ := i.count(messages)
		return came == len(messages)
	})
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// clock makes times that differ.
var clock struct {
	sync.Mutex
	last int64
}

func message(topic carrier.Topic) carrier.Message {
	clock.Lock()
	defer clock.Unlock()
	clock.last = max(clock.last+1, time.Now().UnixNano())
	return carrier.Message{Topic: topic, Payload: fmt.Appendf(nil, "message %d", clock.last), Time: clock.last}
}

func messages(topic carrier.Topic, n int) []carrier.Message {
	made := make([]carrier.Message, n)
	for i := range made {
		made[i] = message(topic)
	}
	return made
}

// publish hands one message to the network and gives what it says.
func publish(t testing.TB, c carrier.Carrier, m carrier.Message) error {
	t.Helper()
	result := make(chan error, 1)
	c.Publish(m, func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-time.After(patience):
		t.Fatalf("accepted is not called within %s", patience)
		return nil
	}
}

// publishAll hands messages over until all are taken.
func publishAll(t testing.TB, c carrier.Carrier, all []carrier.Message) {
	t.Helper()
	for _, m := range all {
		err := publish(t, c, m)
		for deadline := time.Now().Add(patience); carrier.Retriable(err) && time.Now().Before(deadline); err = publish(t, c, m) {
			time.Sleep(5 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// history is what is kept of the topics.
func history(t testing.TB, c carrier.Carrier, topics ...carrier.Topic) (kept []carrier.Received) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		kept = nil
		err := c.History(t.Context(), topics, 0, math.MaxInt64, func(r carrier.Received) error {
			kept = append(kept, r)
			return nil
		})
		if err == nil {
			return kept
		}
		if !carrier.Retriable(err) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func subscribe(t testing.TB, c carrier.Carrier, r carrier.Receiver, topics ...carrier.Topic) {
	t.Helper()
	c.Receive(r)
	if err := c.Subscribe(t.Context(), topics...); err != nil {
		t.Fatal(err)
	}
}
