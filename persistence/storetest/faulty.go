package storetest

import (
	"context"
	"sync"

	"github.com/rookery-im/rookery/persistence"
)

// Faulty is a Store that fails or waits on demand before it passes a call on.
// Safe for any number of goroutines.
type Faulty struct {
	persistence.Store

	mu       sync.Mutex
	batches  []persistence.Batch
	applyErr map[int]error
	gets     int
	getErr   map[int]error
	gate     *gate
}

type gate struct {
	entered chan struct{}
	opened  chan struct{}
}

// NewFaulty wraps a store; nothing fails yet.
func NewFaulty(store persistence.Store) *Faulty {
	return &Faulty{Store: store, applyErr: make(map[int]error), getErr: make(map[int]error)}
}

// FailApply makes the n-th Apply from now on (1 is the next) return err and
// write nothing.
func (f *Faulty) FailApply(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applyErr[len(f.batches)+n] = err
}

// FailGet makes the n-th Get from now on (1 is the next) return err.
func (f *Faulty) FailGet(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.getErr[f.gets+n] = err
}

// Hold makes the next Apply wait: entered is closed when it has come, and it
// goes on after release.
func (f *Faulty) Hold() (entered <-chan struct{}, release func()) {
	held := &gate{entered: make(chan struct{}), opened: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = held
	return held.entered, sync.OnceFunc(func() { close(held.opened) })
}

// Batches are those that Apply was called with, the failed ones included.
func (f *Faulty) Batches() []persistence.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]persistence.Batch(nil), f.batches...)
}

// Apply implements persistence.Store.
func (f *Faulty) Apply(ctx context.Context, batch persistence.Batch) error {
	f.mu.Lock()
	f.batches = append(f.batches, batch.Clone())
	err := f.applyErr[len(f.batches)]
	held := f.gate
	f.gate = nil
	f.mu.Unlock()
	if held != nil {
		close(held.entered)
		<-held.opened
	}
	if err != nil {
		return err
	}
	return f.Store.Apply(ctx, batch)
}

// Get implements persistence.Store.
func (f *Faulty) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	f.mu.Lock()
	f.gets++
	err := f.getErr[f.gets]
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.Store.Get(ctx, name)
}
