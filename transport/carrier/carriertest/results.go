package carriertest

import (
	"errors"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var errNotCalled = errors.New("accepted was not called")

// try hands messages to the network once.
func (p *party) try(messages ...carrier.Message) *results {
	r := &results{b: p.b, calls: make([]int, len(messages)), errs: make([]error, len(messages))}
	for i := range messages {
		start := time.Now()
		p.Publish(messages[i], func(err error) { r.accepted(i, err) })
		if took := time.Since(start); took > p.b.network.Patience { // a machine may be busy with other things
			p.b.Errorf("Publish took %s", took)
		}
	}
	return r
}

// results are what became of messages that were published.
type results struct {
	b     *bench
	mu    sync.Mutex
	calls []int
	errs  []error
}

func (r *results) accepted(i int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[i]++; r.calls[i] > 1 {
		r.b.Errorf("accepted was called %d times for one message, first with %v, now with %v", r.calls[i], r.errs[i], err)
		return
	}
	r.errs[i] = err
}

// pending is how many messages accepted was not called for.
func (r *results) pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, calls := range r.calls {
		if calls == 0 {
			n++
		}
	}
	return n
}

// get gives what accepted was called with, if it was.
func (r *results) get(i int) (called bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[i] > 0, r.errs[i]
}

func (r *results) wait(i int) error {
	r.b.Helper()
	r.b.eventually("accepted is called", func() bool { called, _ := r.get(i); return called })
	_, err := r.get(i)
	return err
}

// settled waits for the result of one message, and publishes it again while that may
// help. Unlike publish it may be called from any goroutine.
func (p *party) settled(r *results, m carrier.Message) error {
	for deadline := time.Now().Add(p.b.network.Patience); ; r = p.try(m) {
		called, err := r.get(0)
		for !called && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
			called, err = r.get(0)
		}
		switch {
		case !called:
			return errNotCalled
		case !carrier.Retriable(err) || time.Now().After(deadline):
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
