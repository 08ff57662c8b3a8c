package memory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

func TestWithoutFaultsEachMessageComesOnceInOrder(t *testing.T) {
	n := New(Options{})
	first, of1 := open(t, n)
	_, of2 := open(t, n)
	publish(t, first, 0, 500)
	settled(t, n)
	for _, r := range []*receiver{of1, of2} {
		got := r.got()
		if len(got) != 500 {
			t.Fatalf("%d messages", len(got))
		}
		for i, line := range got {
			if line != string(message(i).Payload) {
				t.Fatalf("at place %d came %q", i, line)
			}
		}
	}
	if c := n.Counts(); c != (Counts{Published: 500, Delivered: 1000}) {
		t.Errorf("counts %+v", c)
	}
}

// T17: the same seed gives the same faults, another one others, however long
// deliveries take.
func TestSeedDecidesTheFaults(t *testing.T) {
	run := func(seed uint64, delay time.Duration) string {
		n := New(Options{Seed: seed, Faults: Faults{Busy: 0.1, Unsure: 0.1, Loss: 0.2, Corrupt: 0.1, Duplicate: 0.2, Reorder: 0.2, Delay: delay}})
		n.heldBack = time.Hour // on a slow machine the time would decide, too
		var receivers []*receiver
		var first *Carrier
		for range 3 {
			c, r := open(t, n)
			receivers = append(receivers, r)
			if first == nil {
				first = c
			}
		}
		errs := publish(t, first, 0, 300)
		n.SetFaults(Faults{})
		publish(t, first, 300, 300+Overtaken) // which overtake all that waits
		settled(t, n)
		var all []string
		for _, r := range receivers {
			all = append(all, strings.Join(r.got(), ","))
		}
		return fmt.Sprint(errs, all, n.Counts())
	}
	for seed := range uint64(3) {
		if run(seed, 0) != run(seed, time.Millisecond) {
			t.Errorf("two runs of seed %d differ", seed)
		}
	}
	if run(1, 0) == run(2, 0) {
		t.Error("the seed makes no difference")
	}
}

// One fault does not move another one: a test can be narrowed down.
func TestFaultsAreDrawnEachForItself(t *testing.T) {
	lost := func(f Faults) string {
		n := New(Options{Seed: 3, Faults: f})
		c, r := open(t, n)
		publish(t, c, 0, 300)
		settled(t, n)
		got := r.got()
		slices.Sort(got)
		return fmt.Sprint(slices.Compact(got))
	}
	if lost(Faults{Loss: 0.3}) != lost(Faults{Loss: 0.3, Duplicate: 0.5, Reorder: 0.5}) {
		t.Error("duplicates and reordering change what is lost")
	}
}

func TestFaultsAreAboutAsOftenAsTold(t *testing.T) {
	const count, probability = 4000, 0.25
	for name, test := range map[string]struct {
		faults  Faults
		history History
		count   func(Counts) uint64
	}{
		"busy":       {Faults{Busy: probability}, History{}, func(c Counts) uint64 { return c.Busy }},
		"loss":       {Faults{Loss: probability}, History{}, func(c Counts) uint64 { return c.Lost }},
		"corruption": {Faults{Corrupt: probability}, History{}, func(c Counts) uint64 { return c.Corrupted }},
		"duplicates": {Faults{Duplicate: probability}, History{}, func(c Counts) uint64 { return c.Duplicated }},
		"reordering": {Faults{Reorder: probability}, History{}, func(c Counts) uint64 { return c.Reordered }},
		"not kept":   {Faults{}, History{Misses: probability}, func(c Counts) uint64 { return c.Unkept }},
	} {
		n := New(Options{Seed: 7, Faults: test.faults, History: test.history, Queue: 2 * count})
		c, _ := open(t, n)
		publish(t, c, 0, count)
		settled(t, n)
		counts := n.Counts()
		if got := float64(test.count(counts)) / count; got < probability-0.03 || got > probability+0.03 {
			t.Errorf("%s: %.2f of the messages, want about %.2f", name, got, probability)
		}
		if sum := counts.Busy + counts.Lost + counts.Corrupted + counts.Duplicated + counts.Reordered + counts.Unkept; sum != test.count(counts) {
			t.Errorf("%s: other faults too: %+v", name, counts)
		}
		if want := count - counts.Busy - counts.Lost + counts.Duplicated; counts.Delivered != want {
			t.Errorf("%s: %d deliveries, want %d", name, counts.Delivered, want)
		}
	}
}

func TestReorderedMessageIsOvertakenByAFew(t *testing.T) {
	n := New(Options{Seed: 5, Faults: Faults{Reorder: 0.2}})
	c, r := open(t, n)
	publish(t, c, 0, 1000)
	settled(t, n)
	got := r.got()
	late := 0
	for i, line := range got {
		var number int
		if _, err := fmt.Sscanf(line, "message %d", &number); err != nil {
			t.Fatal(err)
		}
		switch {
		case i > number:
			late++
		case i < number-2*Overtaken:
			t.Errorf("message %d came at place %d", number, i)
		}
	}
	if len(got) != 1000 || late < 100 {
		t.Errorf("%d messages, %d of them overtaken", len(got), late)
	}
}

func TestLastMessageIsNotHeldBackForever(t *testing.T) {
	n := New(Options{Faults: Faults{Reorder: 1}})
	c, r := open(t, n)
	publish(t, c, 0, 1)
	eventually(t, "the message comes", func() bool { return len(r.got()) == 1 })
}

func TestCorruptedPayloadIsACopyWithOneOtherByte(t *testing.T) {
	n := New(Options{Faults: Faults{Corrupt: 1}})
	c, r := open(t, n)
	m := message(1)
	before := string(m.Payload)
	c.Publish(m, func(error) {})
	eventually(t, "the message comes", func() bool { return len(r.got()) == 1 })
	differ := 0
	for i := range before {
		if r.got()[0][i] != before[i] {
			differ++
		}
	}
	if string(m.Payload) != before || differ != 1 || len(r.got()[0]) != len(before) {
		t.Errorf("published %q, is now %q, came %q", before, m.Payload, r.got()[0])
	}
}

func TestUnsureMessageIsTakenAndBusyOneIsNot(t *testing.T) {
	for name, test := range map[string]struct {
		faults Faults
		want   error
		comes  int
	}{
		"busy":   {Faults{Busy: 1}, carrier.ErrBusy, 0},
		"unsure": {Faults{Unsure: 1}, carrier.ErrUnreachable, 1},
	} {
		n := New(Options{Faults: test.faults})
		c, r := open(t, n)
		if errs := publish(t, c, 0, 1); !errors.Is(errs[0], test.want) || !carrier.Retriable(errs[0]) {
			t.Errorf("%s: %v", name, errs[0])
		}
		settled(t, n)
		if got := len(r.got()); got != test.comes {
			t.Errorf("%s: %d messages came", name, got)
		}
		n.SetFaults(Faults{})
		if errs := publish(t, c, 0, 1); errs[0] != nil {
			t.Errorf("%s: without faults: %v", name, errs[0])
		}
	}
}

func TestForeignMessagesCome(t *testing.T) {
	n := New(Options{Faults: Faults{Foreign: 1}})
	c, r := open(t, n)
	m := message(1)
	m.Topic = "/another"
	c.Publish(m, func(error) {})
	eventually(t, "the message comes", func() bool { return len(r.got()) == 1 })
	if n.Counts().Foreign != 1 {
		t.Errorf("counts %+v", n.Counts())
	}
}

func TestDelayChangesNoOrder(t *testing.T) {
	n := New(Options{Seed: 2, Faults: Faults{Delay: 3 * time.Millisecond}})
	c, r := open(t, n)
	publish(t, c, 0, 100)
	settled(t, n)
	for i, line := range r.got() {
		if line != string(message(i).Payload) {
			t.Fatalf("at place %d came %q", i, line)
		}
	}
}

func TestTooManyPublicationsAreBusy(t *testing.T) {
	n := New(Options{Queue: 10, Faults: Faults{Delay: time.Hour}})
	c, _ := open(t, n)
	results := make(chan error, 20)
	for i := range 12 {
		c.Publish(message(i), func(err error) { results <- err })
	}
	for range 2 {
		if err := <-results; !errors.Is(err, carrier.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := <-results; !errors.Is(err, carrier.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
}

func TestSubscribingNeedsAReceiver(t *testing.T) {
	c := New(Options{}).Open()
	defer func() { _ = c.Close() }()
	if err := c.Subscribe(t.Context(), topic); !errors.Is(err, carrier.ErrOptions) {
		t.Errorf("got %v", err)
	}
}
