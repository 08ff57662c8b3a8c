package topic

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/rookery-im/rookery/internal/secret"
)

// Defaults of Options.
const (
	DefaultCached  = 4096 // some 1 MiB
	DefaultWaiting = 4096
	DefaultAhead   = 1024
)

// Options are the bounds of Keys. Whatever is not positive has its default.
type Options struct {
	// Cached is how many keys are kept in memory.
	Cached int
	// Waiting is how many keys callers of Get may wait for at a time; several
	// that wait for the same one count once.
	Waiting int
	// Ahead is how many keys may be waiting to be derived ahead.
	Ahead int
	// Workers is how many keys are derived at a time for callers. By default as
	// many as there are processors.
	Workers int
	// Report takes errors of the store, from any goroutine. They cost time but
	// never a key: what cannot be loaded is derived, and what cannot be saved is
	// used. Nil ignores them.
	Report func(error)
}

// Keys gives the symmetric keys of topics and derives them only when they are
// wanted. A key is looked for in memory, then in the store, and is then derived
// by one of a few goroutines, which exist only as long as they have something to
// do. A key is never derived twice at a time. At most one is being derived ahead,
// and none is begun while one is derived for a caller. Keys in memory are bounded
// and are wiped when they are dropped. Safe for concurrent use.
type Keys struct {
	store   Store
	options Options
	derive  func(Name) (secret.Key, error)

	running sync.WaitGroup // whoever may be using the store

	mu           sync.Mutex
	closed       bool
	cache        cache
	searches     map[Digest]*search
	wanted       int   // searches begun for callers
	urgent       queue // they wait for a worker
	ahead        queue // nobody waits
	workers      int
	workingAhead bool
	counts       Counts
}

// NewKeys gives Keys over a store.
func NewKeys(store Store, options Options) *Keys {
	return newKeys(store, options, DeriveKey)
}

func newKeys(store Store, options Options, derive func(Name) (secret.Key, error)) *Keys {
	setDefault(&options.Cached, DefaultCached)
	setDefault(&options.Waiting, DefaultWaiting)
	setDefault(&options.Ahead, DefaultAhead)
	setDefault(&options.Workers, runtime.GOMAXPROCS(0))
	if options.Report == nil {
		options.Report = func(error) {}
	}
	return &Keys{
		store:    store,
		options:  options,
		derive:   derive,
		cache:    newCache(options.Cached),
		searches: map[Digest]*search{},
	}
}

func setDefault(bound *int, value int) {
	if *bound <= 0 {
		*bound = value
	}
}

// Get gives the key of a name, and waits for it if it has to; the caller wipes
// it. It ends with the context's error when the context ends, with ErrKind if
// topics of this kind have no key, with ErrBusy if callers wait for too many
// keys, and with ErrClosed after Close.
func (k *Keys) Get(ctx context.Context, name Name) (secret.Key, error) {
	s, first, key, err := k.join(ctx, name)
	if s == nil {
		return key, err
	}
	if first {
		k.lookUp(s)
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		err = fmt.Errorf("topic: key of %s: %w", name, ctx.Err())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		key, err = s.key, s.err
	}
	k.leave(s)
	return key, err
}

// join finds a key in memory or the search for it, which it begins if there is
// none. first says that the caller has to go to the store.
func (k *Keys) join(ctx context.Context, name Name) (s *search, first bool, key secret.Key, err error) {
	if !name.kind.Symmetric() {
		return nil, false, key, fmt.Errorf("%w: %s has no symmetric key", ErrKind, name)
	}
	digest := name.Digest()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, false, key, ErrClosed
	}
	if key, found := k.cache.get(digest); found {
		k.counts.Cached++
		return nil, false, key, nil
	}
	if ctx.Err() != nil {
		return nil, false, key, fmt.Errorf("topic: key of %s: %w", name, ctx.Err())
	}
	s = k.searches[digest]
	// One that waits to be derived ahead is taken over: its turn may never come.
	first = s == nil || s.queue == &k.ahead
	if first {
		if k.wanted >= k.options.Waiting {
			return nil, false, key, fmt.Errorf("%w: callers wait for %d", ErrBusy, k.wanted)
		}
		if s == nil {
			s = newSearch(digest, name)
			k.searches[digest] = s
		}
		s.leaveQueue()
		s.wanted = true
		k.wanted++
		k.running.Add(1)
	}
	s.callers++
	return s, first, key, nil
}

// lookUp is the part of a search that the first caller does himself: it ends the
// search or hands it to the workers.
func (k *Keys) lookUp(s *search) {
	defer k.running.Done()
	key, found := k.load(s.digest)
	defer key.Wipe()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case found:
		k.counts.Loaded++
		k.end(s, &key, nil)
	case k.closed:
		k.end(s, &key, ErrClosed)
	default:
		k.urgent.push(s)
		k.schedule()
	}
}

// leave ends the waiting of a caller. A search that nobody has begun to derive is
// given up with its last caller.
func (k *Keys) leave(s *search) {
	s.callers--
	if s.callers > 0 {
		return
	}
	s.key.Wipe()
	if s.queue == &k.urgent {
		k.end(s, &secret.Key{}, context.Canceled)
	}
}

// end gives the outcome of a search to those who wait for it.
func (k *Keys) end(s *search, key *secret.Key, err error) {
	s.leaveQueue()
	delete(k.searches, s.digest)
	if s.wanted {
		k.wanted--
	}
	s.name.Wipe()
	if s.err = err; err == nil && !k.closed && (s.callers > 0 || k.cache.hasRoom()) {
		k.cache.put(s.digest, key)
	}
	if s.callers > 0 {
		s.key = *key
	}
	close(s.done)
}

// Ahead has a key derived and saved when nobody waits for another one. It gives
// ErrKind if topics of this kind have no key, ErrBusy if too many are to be
// derived ahead, and ErrClosed after Close. The key is kept in memory only if
// there is room.
func (k *Keys) Ahead(name Name) error {
	if !name.kind.Symmetric() {
		return fmt.Errorf("%w: %s has no symmetric key", ErrKind, name)
	}
	digest := name.Digest()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return ErrClosed
	}
	_, known := k.cache.keys[digest]
	if known || k.searches[digest] != nil {
		return nil
	}
	if k.ahead.Len() >= k.options.Ahead {
		return fmt.Errorf("%w: %d to be derived ahead", ErrBusy, k.ahead.Len())
	}
	s := newSearch(digest, name)
	k.searches[digest] = s
	k.ahead.push(s)
	k.schedule()
	return nil
}

// Drop wipes a key that is in memory, and does not derive it ahead any more. The
// store is the caller's.
func (k *Keys) Drop(digest Digest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at, found := k.cache.keys[digest]; found {
		k.cache.drop(at)
	}
	if s := k.searches[digest]; s != nil && s.queue == &k.ahead {
		k.end(s, &secret.Key{}, context.Canceled)
	}
}

// Close ends with ErrClosed what has not begun, waits for what is being derived
// and until nobody uses the store any more, and wipes all keys in memory.
func (k *Keys) Close() {
	k.mu.Lock()
	k.closed = true
	for _, q := range []*queue{&k.urgent, &k.ahead} {
		for s := q.next(); s != nil; s = q.next() {
			k.end(s, &secret.Key{}, ErrClosed)
		}
	}
	k.cache.clear()
	k.mu.Unlock()
	k.running.Wait()
}

// Counts are what Keys have done since they were made.
type Counts struct {
	Cached  uint64 // found in memory
	Loaded  uint64 // found in the store
	Derived uint64
	Failed  uint64 // calls of the store
}

// Counts gives what has been done so far.
func (k *Keys) Counts() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts
}

// Format implements fmt.Formatter without the keys.
func (k *Keys) Format(f fmt.State, _ rune) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, _ = fmt.Fprintf(f, "%d keys of topics, %d being looked for", len(k.cache.keys), len(k.searches))
}
