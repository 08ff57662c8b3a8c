package topic

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rookery-im/rookery/internal/secret"
)

var errShelf = errors.New("the shelf fell down")

// shelf is a Store in memory that counts its calls.
type shelf struct {
	mu            sync.Mutex
	keys          map[Digest]secret.Key
	loads, saves  int
	load, save    error
	panics        bool
	beforeLoading func()
}

func newShelf() *shelf { return &shelf{keys: map[Digest]secret.Key{}} }

func (s *shelf) LoadTopicKey(name Digest) (secret.Key, bool, error) {
	if s.beforeLoading != nil {
		s.beforeLoading()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if s.panics {
		panic("the shelf")
	}
	key, found := s.keys[name]
	return key, found, s.load
}

func (s *shelf) SaveTopicKey(name Digest, key *secret.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.panics {
		panic("the shelf")
	}
	if s.save != nil {
		return s.save
	}
	s.keys[name] = *key
	return nil
}

// derived is a key that is quick to have, and another one for each name.
func derived(n Name) (secret.Key, error) { return secret.KeyOf(sha256.Sum256(n.text)), nil }

// bench derives keys when it is told to.
type bench struct {
	mu    sync.Mutex
	begun []string // names in the order in which they were begun
	atOne int
	most  int
	names map[string]int // at work
	twice bool
	step  chan struct{}
}

func newBench() *bench { return &bench{step: make(chan struct{}), names: map[string]int{}} }

func (b *bench) derive(n Name) (secret.Key, error) {
	name := string(n.text)
	b.mu.Lock()
	b.begun = append(b.begun, name)
	b.atOne++
	b.names[name]++
	b.most = max(b.most, b.atOne)
	b.twice = b.twice || b.names[name] > 1
	b.mu.Unlock()
	<-b.step
	b.mu.Lock()
	b.atOne--
	b.names[name]--
	b.mu.Unlock()
	return derived(n)
}

// order is what has been begun so far, when all else waits.
func (b *bench) order() []string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.begun)
}

func (b *bench) began(t *testing.T, want ...string) {
	t.Helper()
	if got := b.order(); !slices.Equal(got, want) {
		t.Errorf("begun: %q, want %q", got, want)
	}
}

func chat(t *testing.T, name string) Name {
	t.Helper()
	return must(t)(PublicChat(name))
}

// caller is a Get that is on its way.
type caller struct {
	key  secret.Key
	err  error
	done chan struct{}
}

func get(ctx context.Context, k *Keys, name Name) *caller {
	c := &caller{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.key, c.err = k.Get(ctx, name)
	}()
	return c
}

func (c *caller) ends(t *testing.T, want error) {
	t.Helper()
	<-c.done
	if want == nil && c.err != nil || !errors.Is(c.err, want) {
		t.Errorf("Get ends with %v, want %v", c.err, want)
	}
}

func (c *caller) has(t *testing.T, name Name) {
	t.Helper()
	c.ends(t, nil)
	if want, _ := derived(name); !c.key.Equal(&want) {
		t.Errorf("another key than that of the name")
	}
}
