package main

import (
	"io"
	"sync"
)

// outlet writes frames in the order of their calls without ever holding up the
// caller: two processes that both wait for the other to read would be stuck.
// What is still waiting is bounded by what the other side has asked for.
type outlet struct {
	mu      sync.Mutex
	changed *sync.Cond
	waiting []frame
	closed  bool
}

func newOutlet(w io.WriteCloser) *outlet {
	o := &outlet{}
	o.changed = sync.NewCond(&o.mu)
	go o.run(w)
	return o
}

// tell queues a frame.
func (o *outlet) tell(f frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, f)
	o.changed.Signal()
}

// close ends the outlet; what waits is dropped.
func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changed.Signal()
}

func (o *outlet) run(w io.WriteCloser) {
	defer func() { _ = w.Close() }()
	for {
		o.mu.Lock()
		for len(o.waiting) == 0 && !o.closed {
			o.changed.Wait()
		}
		batch, closed := o.waiting, o.closed
		o.waiting = nil
		o.mu.Unlock()
		if closed {
			return
		}
		for _, f := range batch {
			if err := writeFrame(w, f); err != nil {
				return // the child is dead, which its own end of the pipes shows
			}
		}
	}
}
