package topic

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/internal/secret"
)

// errPanicked stands for what a panic said, which may be secret.
var errPanicked = errors.New("topic: panic")

// schedule starts goroutines for what can begin now. k.mu is held.
func (k *Keys) schedule() {
	for k.workers < k.options.Workers {
		s := k.urgent.next()
		if s == nil {
			break
		}
		k.workers++
		k.running.Add(1)
		go k.work(s)
	}
	if k.workers > 0 || k.workingAhead {
		return
	}
	if s := k.ahead.next(); s != nil {
		k.workingAhead = true
		k.running.Add(1)
		go k.workAhead(s)
	}
}

// work derives keys for callers until none is wanted.
func (k *Keys) work(s *search) {
	defer k.running.Done()
	for s != nil {
		k.find(s, s.digest)
		s = k.nextUrgent()
	}
}

func (k *Keys) nextUrgent() *search {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.urgent.next()
	if s == nil {
		k.workers--
		k.schedule()
	}
	return s
}

// workAhead does one search that nobody waits for.
func (k *Keys) workAhead(s *search) {
	defer k.running.Done()
	digest := s.digest
	key, found := k.load(digest)
	defer key.Wipe()
	if found {
		k.mu.Lock()
		k.counts.Loaded++
		k.end(s, &key, nil)
		k.mu.Unlock()
	} else {
		k.find(s, digest)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.workingAhead = false
	k.schedule()
}

// find derives a key, ends the search and saves the key: who waits for it does
// not wait for the disk.
func (k *Keys) find(s *search, digest Digest) {
	var key secret.Key
	defer key.Wipe()
	err := guarded(func() (err error) {
		key, err = k.derive(s.name)
		return err
	})
	if err != nil {
		err = fmt.Errorf("topic: derive a key: %w", err)
	}
	k.mu.Lock()
	if err == nil {
		k.counts.Derived++
	}
	k.end(s, &key, err)
	k.mu.Unlock()
	if err == nil {
		k.save(digest, &key)
	}
}

// load looks into the store. The key of all zeros is none.
func (k *Keys) load(digest Digest) (key secret.Key, found bool) {
	err := guarded(func() (err error) {
		key, found, err = k.store.LoadTopicKey(digest)
		return err
	})
	if err != nil {
		k.failed(fmt.Errorf("topic: load a key: %w", err))
		key.Wipe()
		return key, false
	}
	return key, found && !key.IsZero()
}

func (k *Keys) save(digest Digest, key *secret.Key) {
	if err := guarded(func() error { return k.store.SaveTopicKey(digest, key) }); err != nil {
		k.failed(fmt.Errorf("topic: save a key: %w", err))
	}
}

func (k *Keys) failed(err error) {
	k.mu.Lock()
	k.counts.Failed++
	k.mu.Unlock()
	k.options.Report(err)
}

// guarded turns a panic into an error: there is no actor here that it could be
// laid to.
func guarded(f func() error) (err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("%w of type %T", errPanicked, thrown)
		}
	}()
	return f()
}
