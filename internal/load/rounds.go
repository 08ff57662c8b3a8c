package load

import "sync"

// rounds are those of a re-key storm. They begin one after the other; the zero value is
// before the first. Safe for concurrent use.
type rounds struct {
	mu       sync.Mutex
	begun    int // that many
	over     *sync.Cond
	starting bool
	wrong    error // why none begins any more
}

// await returns when a round has begun. One of those who wait for the next one begins
// it, by calling begin; its error is everybody's from then on.
func (r *rounds) await(round int, begin func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil {
		r.over = sync.NewCond(&r.mu)
	}
	for r.begun <= round && r.wrong == nil {
		if r.starting || r.begun < round { // the ones before begin without us
			r.over.Wait()
			continue
		}
		r.start(begin)
	}
	if r.begun > round {
		return nil
	}
	return r.wrong
}

// start calls begin without the lock, which the caller holds.
func (r *rounds) start(begin func() error) {
	r.starting = true
	r.mu.Unlock()
	var err error
	defer func() {
		r.mu.Lock()
		if r.starting, r.wrong = false, err; err == nil {
			r.begun++
		}
		r.over.Broadcast()
	}()
	err = begin()
}
