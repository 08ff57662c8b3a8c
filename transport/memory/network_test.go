package memory

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rookery-im/rookery/transport"
)

const topic = transport.Topic("a topic")

// receiver notes what it is given, and refuses what it is told to.
type receiver struct {
	mu      sync.Mutex
	got     []string
	refuses func(string) bool
}

func (r *receiver) deliver(e transport.Envelope, done func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuses != nil && r.refuses(string(e.Payload)) {
		done(errors.New("not now"))
		return
	}
	r.got = append(r.got, string(e.Payload))
	done(nil)
}

func listen(t *testing.T, n *Network) (*receiver, func()) {
	t.Helper()
	r := &receiver{}
	cancel, err := n.Subscribe(topic, r.deliver)
	if err != nil {
		t.Fatal(err)
	}
	return r, cancel
}

func publish(t *testing.T, n *Network, payload string) {
	t.Helper()
	calls := 0
	n.Publish(transport.Envelope{Topic: topic, Payload: []byte(payload)}, func(err error) {
		if calls++; err != nil || calls > 1 {
			t.Errorf("%s: call %d of accepted: %v", payload, calls, err)
		}
	})
	if calls != 1 {
		t.Errorf("%s: accepted was called %d times", payload, calls)
	}
}

func publishMany(t *testing.T, n *Network, count int) {
	t.Helper()
	for i := range count {
		publish(t, n, fmt.Sprint(i))
	}
}

func TestWithoutFaultsEachEnvelopeArrivesOnceInOrder(t *testing.T) {
	n := New(1, Faults{})
	first, _ := listen(t, n)
	second, _ := listen(t, n)
	publishMany(t, n, 100)
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
	}
	for _, r := range []*receiver{first, second} {
		if !slices.Equal(r.got, want) {
			t.Errorf("got %v", r.got)
		}
	}
	if c := n.Counts(); c != (Counts{Published: 100, Delivered: 200}) {
		t.Errorf("counts %+v", c)
	}
}

func TestEnvelopesReachOnlyTheirTopic(t *testing.T) {
	n := New(1, Faults{})
	r, _ := listen(t, n)
	n.Publish(transport.Envelope{Topic: "another", Payload: []byte("x")}, func(error) {})
	if len(r.got) != 0 {
		t.Errorf("got %v", r.got)
	}
}

// T17: the same seed gives the same faults, another one others.
func TestSeedDecidesTheFaults(t *testing.T) {
	run := func(seed uint64) string {
		n := New(seed, Faults{Loss: 0.2, Duplicate: 0.2, Reorder: 0.2})
		var order []string
		for name := range 3 { // who subscribes first is served first
			_, err := n.Subscribe(topic, func(e transport.Envelope, done func(error)) {
				order = append(order, fmt.Sprint(name, ":", string(e.Payload)))
				done(nil)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		publishMany(t, n, 300)
		n.Redeliver()
		return fmt.Sprint(order, n.Counts())
	}
	for seed := range uint64(5) {
		if first, second := run(seed), run(seed); first != second {
			t.Errorf("two runs of seed %d differ", seed)
		}
	}
	if run(1) == run(2) {
		t.Error("the seed makes no difference")
	}
}

func TestFaultsAreAboutAsOftenAsTold(t *testing.T) {
	const count, probability = 4000, 0.25
	for _, test := range []struct {
		name   string
		faults Faults
		count  func(Counts) uint64
	}{
		{"loss", Faults{Loss: probability}, func(c Counts) uint64 { return c.Lost }},
		{"duplicates", Faults{Duplicate: probability}, func(c Counts) uint64 { return c.Duplicated }},
		{"reordering", Faults{Reorder: probability}, func(c Counts) uint64 { return c.Reordered }},
	} {
		n := New(7, test.faults)
		r, _ := listen(t, n)
		publishMany(t, n, count)
		c := n.Counts()
		if got := float64(test.count(c)) / count; got < probability-0.05 || got > probability+0.05 {
			t.Errorf("%s: %.2f of the envelopes, want about %.2f", test.name, got, probability)
		}
		if c.Lost+c.Duplicated+c.Reordered != test.count(c) {
			t.Errorf("%s: other faults too: %+v", test.name, c)
		}
		n.Redeliver()
		if want := count + int(c.Duplicated); len(r.got) != want {
			t.Errorf("%s: %d deliveries in the end, want %d", test.name, len(r.got), want)
		}
	}
}

func TestRedeliverBringsEachLostEnvelopeOnce(t *testing.T) {
	n := New(3, Faults{Loss: 0.5, Reorder: 0.3})
	r, _ := listen(t, n)
	publishMany(t, n, 200)
	before := len(r.got)
	if again := n.Redeliver(); again != 200-before {
		t.Errorf("%d delivered again, want %d", again, 200-before)
	}
	slices.Sort(r.got)
	if len(slices.Compact(r.got)) != 200 {
		t.Errorf("%d different envelopes of 200", len(r.got))
	}
	if again := n.Redeliver(); again != 0 {
		t.Errorf("%d were left", again)
	}
}

func TestReorderedEnvelopeIsOvertaken(t *testing.T) {
	n := New(5, Faults{Reorder: 0.2})
	r, _ := listen(t, n)
	publishMany(t, n, 500)
	overtaken := 0
	for i := 1; i < len(r.got); i++ {
		if len(r.got[i]) < len(r.got[i-1]) || len(r.got[i]) == len(r.got[i-1]) && r.got[i] < r.got[i-1] {
			overtaken++
		}
	}
	if overtaken < 20 {
		t.Errorf("only %d envelopes were overtaken", overtaken)
	}
	if waiting := n.Redeliver(); waiting > maxOvertaken {
		t.Errorf("%d waited to be overtaken, more than %d", waiting, maxOvertaken)
	}
}

func TestRefusedEnvelopeComesAgainToItsReceiverOnly(t *testing.T) {
	n := New(1, Faults{})
	patient, _ := listen(t, n)
	other, _ := listen(t, n)
	patient.refuses = func(string) bool { return true }
	publishMany(t, n, 3)
	if n.Redeliver() != 3 || len(patient.got) != 0 {
		t.Errorf("a refused envelope was not delivered again")
	}
	patient.refuses = nil
	if again := n.Redeliver(); again != 3 || len(patient.got) != 3 || len(other.got) != 3 {
		t.Errorf("%d again; got %v and %v", again, patient.got, other.got)
	}
	if c := n.Counts(); c.Refused != 6 || c.Delivered != 6 {
		t.Errorf("counts %+v", c)
	}
}

func TestUnsubscribedReceiverGetsNothingMore(t *testing.T) {
	n := New(1, Faults{})
	r, cancel := listen(t, n)
	stays, _ := listen(t, n)
	r.refuses = func(payload string) bool { return payload == "refused" }
	publish(t, n, "before")
	publish(t, n, "refused")
	cancel()
	cancel()
	r.refuses = nil
	publish(t, n, "after")
	// What it refused goes to who is there now, such as its next life.
	next, _ := listen(t, n)
	n.Redeliver()
	if fmt.Sprint(r.got) != "[before]" {
		t.Errorf("got %v", r.got)
	}
	if fmt.Sprint(next.got) != "[refused]" || fmt.Sprint(stays.got) != "[before refused after refused]" {
		t.Errorf("the others got %v and %v", next.got, stays.got)
	}
}

func TestClosedNetworkRefusesAndDeliversNothing(t *testing.T) {
	n := New(1, Faults{})
	r, cancel := listen(t, n)
	var late func(error)
	if _, err := n.Subscribe(topic, func(_ transport.Envelope, done func(error)) { late = done }); err != nil {
		t.Fatal(err)
	}
	publish(t, n, "before")
	for range 2 {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if late == nil {
		t.Fatal("nothing was delivered")
	}
	late(errors.New("too late"))
	n.Publish(transport.Envelope{Topic: topic, Payload: []byte("after")}, func(err error) {
		if !errors.Is(err, transport.ErrClosed) {
			t.Errorf("publish: %v", err)
		}
	})
	if _, err := n.Subscribe(topic, r.deliver); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("subscribe: %v", err)
	}
	if again := n.Redeliver(); again != 0 || len(r.got) != 1 {
		t.Errorf("%d delivered again; got %v", again, r.got)
	}
	cancel()
}

func TestReceiverMayPublishAndUnsubscribe(t *testing.T) {
	n := New(1, Faults{})
	r, _ := listen(t, n)
	var cancel func()
	cancel, err := n.Subscribe(topic, func(_ transport.Envelope, done func(error)) {
		cancel()
		publish(t, n, "answer")
		done(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, n, "question")
	if fmt.Sprint(r.got) != "[question answer]" {
		t.Errorf("got %v", r.got)
	}
}

func TestManyPublishersAndSubscribersAtOnce(t *testing.T) {
	const publishers, each = 4, 100
	n := New(1, Faults{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1})
	r, _ := listen(t, n)
	var wait sync.WaitGroup
	for p := range publishers {
		wait.Go(func() {
			for i := range each {
				publish(t, n, fmt.Sprint(p, "/", i))
				_, cancel := listen(t, n)
				cancel()
			}
		})
	}
	wait.Wait()
	n.Redeliver()
	slices.Sort(r.got)
	if got := len(slices.Compact(r.got)); got != publishers*each {
		t.Errorf("%d different envelopes arrived, want %d", got, publishers*each)
	}
}
