package topic

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rookery-im/rookery/internal/secret"
)

// Many callers for few names: each name is derived once, and never two at a time
// but for the workers that there are.
func TestAKeyIsDerivedOnceForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, shelf := newBench(), newShelf()
		k := newKeys(shelf, Options{Workers: 2}, b.derive)
		defer k.Close()
		var callers []*caller
		for i := range 60 {
			callers = append(callers, get(t.Context(), k, chat(t, fmt.Sprint(i%5))))
		}
		if n := len(b.order()); n != 2 {
			t.Errorf("%d derivations at a time, want 2", n)
		}
		close(b.step)
		for i, c := range callers {
			c.has(t, chat(t, fmt.Sprint(i%5)))
		}
		if n := len(b.order()); n != 5 || b.twice || b.most != 2 {
			t.Errorf("%d derivations, a name twice at a time: %v, at most %d", n, b.twice, b.most)
		}
		if shelf.saves != 5 || shelf.loads != 5 {
			t.Errorf("%d loaded, %d saved, want 5", shelf.loads, shelf.saves)
		}
		get(t.Context(), k, chat(t, "3")).has(t, chat(t, "3"))
		if got, want := k.Counts(), (Counts{Cached: 1, Derived: 5}); got != want || shelf.loads != 5 {
			t.Errorf("%+v, want %+v, %d loads", got, want, shelf.loads)
		}
	})
}

// A process that starts again derives nothing again.
func TestAKeyComesFromTheStore(t *testing.T) {
	shelf, name := newShelf(), chat(t, "kept")
	for round, want := range []Counts{{Derived: 1}, {Loaded: 1}} {
		k := newKeys(shelf, Options{}, derived)
		get(t.Context(), k, name).has(t, name)
		k.Close()
		if got := k.Counts(); got != want {
			t.Errorf("round %d: %+v, want %+v", round, got, want)
		}
	}
	// All zeros are no key: a store that gives them has none.
	shelf.keys[name.Digest()] = secret.Key{}
	k := newKeys(shelf, Options{}, derived)
	defer k.Close()
	get(t.Context(), k, name).has(t, name)
}

// Nothing is derived ahead while a caller waits, and nobody waits behind what is
// to be derived ahead.
func TestCallersComeBeforeWhatIsDerivedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		k := newKeys(newShelf(), Options{Workers: 1}, b.derive)
		defer k.Close()
		for _, name := range []string{"ahead 1", "ahead 2", "ahead 3", "ahead 4", "ahead 2"} {
			if err := k.Ahead(chat(t, name)); err != nil {
				t.Fatal(err)
			}
		}
		b.began(t, "ahead 1")
		first := get(t.Context(), k, chat(t, "called"))
		b.began(t, "ahead 1", "called")
		second := get(t.Context(), k, chat(t, "ahead 3"))
		b.began(t, "ahead 1", "called")
		joined := get(t.Context(), k, chat(t, "ahead 1"))
		synctest.Wait()
		b.step <- struct{}{}
		b.step <- struct{}{} // whichever it was, both are done now
		joined.has(t, chat(t, "ahead 1"))
		first.has(t, chat(t, "called"))
		b.began(t, "ahead 1", "called", "ahead 3")
		b.step <- struct{}{}
		second.has(t, chat(t, "ahead 3"))
		b.began(t, "ahead 1", "called", "ahead 3", "ahead 2")
		b.step <- struct{}{}
		b.began(t, "ahead 1", "called", "ahead 3", "ahead 2", "ahead 4")
		b.step <- struct{}{}
		synctest.Wait()
		for _, name := range []string{"ahead 1", "ahead 2", "ahead 3", "ahead 4"} {
			if err := k.Ahead(chat(t, name)); err != nil { // in memory already
				t.Error(err)
			}
			get(t.Context(), k, chat(t, name)).has(t, chat(t, name))
		}
		if got, want := k.Counts(), (Counts{Cached: 4, Derived: 5}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

// What is derived ahead is in the store for later, and does not push out what is
// in use.
func TestKeysDerivedAheadAreSavedAndTakeNobodysPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := newShelf()
		k := newKeys(shelf, Options{Cached: 2}, derived)
		defer k.Close()
		for _, name := range []string{"a", "b"} {
			get(t.Context(), k, chat(t, name)).has(t, chat(t, name))
		}
		for i := range 100 {
			if err := k.Ahead(chat(t, fmt.Sprintf("ahead %d", i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for _, name := range []string{"a", "b"} {
			get(t.Context(), k, chat(t, name)).has(t, chat(t, name))
		}
		if got, want := k.Counts(), (Counts{Cached: 2, Derived: 102}); got != want || len(shelf.keys) != 102 {
			t.Errorf("%+v, want %+v, %d in the store", got, want, len(shelf.keys))
		}
		again := newKeys(shelf, Options{}, derived)
		defer again.Close()
		if err := again.Ahead(chat(t, "ahead 7")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		get(t.Context(), again, chat(t, "ahead 7")).has(t, chat(t, "ahead 7"))
		if got, want := again.Counts(), (Counts{Cached: 1, Loaded: 1}); got != want {
			t.Errorf("after a new start %+v, want %+v", got, want)
		}
	})
}

func TestKeysInMemoryAreBoundedAndWipedWhenDropped(t *testing.T) {
	shelf := newShelf()
	k := newKeys(shelf, Options{Cached: 3}, derived)
	kept := map[string]*secret.Key{}
	for i := range 10 {
		name := fmt.Sprint(i)
		get(t.Context(), k, chat(t, "0")).has(t, chat(t, "0")) // always in use
		get(t.Context(), k, chat(t, name)).has(t, chat(t, name))
		kept[name] = &entry(k.cache.keys[chat(t, name).Digest()]).key
		if n := len(k.cache.keys); n > 3 || n != k.cache.byUse.Len() {
			t.Fatalf("%d keys in memory, %d in order", n, k.cache.byUse.Len())
		}
	}
	for name, key := range kept {
		_, held := k.cache.keys[chat(t, name).Digest()]
		if want := name == "0" || name == "8" || name == "9"; held != want || key.IsZero() == want {
			t.Errorf("%s: in memory %v, wiped %v", name, held, key.IsZero())
		}
	}
	k.Close()
	for name, key := range kept {
		if !key.IsZero() {
			t.Errorf("%s is not wiped after Close", name)
		}
	}
	if len(k.cache.keys) != 0 {
		t.Error("closed, and keys in memory")
	}
}

// Who stops waiting takes nothing from those who go on; with the last one what
// has not begun is given up, and what has begun is kept.
func TestWaitingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		k := newKeys(newShelf(), Options{Workers: 1}, b.derive)
		defer k.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begun := get(ctx, k, chat(t, "begun"))
		synctest.Wait()
		given, shared := get(ctx, k, chat(t, "given up")), get(ctx, k, chat(t, "shared"))
		synctest.Wait()
		stays := get(t.Context(), k, chat(t, "shared"))
		synctest.Wait()
		cancel()
		for _, c := range []*caller{begun, given, shared} {
			c.ends(t, context.Canceled)
			if !c.key.IsZero() {
				t.Error("a key and an error")
			}
		}
		get(ctx, k, chat(t, "too late")).ends(t, context.Canceled)
		close(b.step)
		stays.has(t, chat(t, "shared"))
		b.began(t, "begun", "shared")
		get(ctx, k, chat(t, "begun")).has(t, chat(t, "begun")) // in memory: nothing to wait for
		if len(k.searches) != 0 || k.wanted != 0 {
			t.Errorf("%d searches are left, %d wanted", len(k.searches), k.wanted)
		}
		get(t.Context(), k, chat(t, "given up")).has(t, chat(t, "given up"))
	})
}

func TestCloseEndsAllWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, shelf := newBench(), newShelf()
		k := newKeys(shelf, Options{Workers: 1}, b.derive)
		begun := get(t.Context(), k, chat(t, "begun"))
		synctest.Wait()
		queued := get(t.Context(), k, chat(t, "queued"))
		synctest.Wait()
		loading := make(chan struct{})
		shelf.beforeLoading = func() { <-loading }
		looking := get(t.Context(), k, chat(t, "looking"))
		if err := k.Ahead(chat(t, "ahead")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		closed := make(chan struct{})
		go func() { k.Close(); close(closed) }()
		queued.ends(t, ErrClosed)
		get(t.Context(), k, chat(t, "late")).ends(t, ErrClosed)
		if err := k.Ahead(chat(t, "late")); !errors.Is(err, ErrClosed) {
			t.Errorf("Ahead after Close: %v", err)
		}
		b.step <- struct{}{}
		begun.has(t, chat(t, "begun"))
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed while the store is in use")
		default:
		}
		close(loading)
		looking.ends(t, ErrClosed)
		<-closed
		b.began(t, "begun")
		if len(k.searches) != 0 || len(k.cache.keys) != 0 || shelf.saves != 1 {
			t.Errorf("%d searches, %d keys are left, %d saved", len(k.searches), len(k.cache.keys), shelf.saves)
		}
		k.Close() // again
	})
}

func TestWhatIsWantedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		k := newKeys(newShelf(), Options{Workers: 1, Waiting: 3, Ahead: 2}, b.derive)
		defer k.Close()
		var callers []*caller
		for i := range 9 {
			callers = append(callers, get(t.Context(), k, chat(t, fmt.Sprint(i%3))))
		}
		synctest.Wait()
		get(t.Context(), k, chat(t, "one more")).ends(t, ErrBusy)
		for i, want := range []error{nil, nil, ErrBusy, nil} {
			name := chat(t, fmt.Sprintf("ahead %d", i%3))
			if err := k.Ahead(name); want == nil && err != nil || !errors.Is(err, want) {
				t.Errorf("%d ahead: %v, want %v", i, err, want)
			}
		}
		get(t.Context(), k, chat(t, "ahead 0")).ends(t, ErrBusy) // and it stays where it is
		close(b.step)
		for i, c := range callers {
			c.has(t, chat(t, fmt.Sprint(i%3)))
		}
		get(t.Context(), k, chat(t, "one more")).has(t, chat(t, "one more"))
		synctest.Wait()
		if got := k.Counts().Derived; got != 6 {
			t.Errorf("%d derived, want 6", got)
		}
	})
}

// A store that fails or panics costs time: every key is derived, nobody hangs,
// and what went wrong is reported.
func TestABrokenStoreCostsNoKey(t *testing.T) {
	for what, shelf := range map[string]*shelf{
		"load":  {keys: map[Digest]secret.Key{}, load: errShelf},
		"save":  {keys: map[Digest]secret.Key{}, save: errShelf},
		"panic": {panics: true},
	} {
		var mu sync.Mutex
		var reported []error
		k := newKeys(shelf, Options{Cached: 1, Report: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			reported = append(reported, err)
		}}, derived)
		for _, name := range []string{"a", "b", "a"} {
			get(t.Context(), k, chat(t, name)).has(t, chat(t, name))
		}
		if err := k.Ahead(chat(t, "c")); err != nil {
			t.Error(err)
		}
		k.Close()
		if n := uint64(len(reported)); n < 3 || n != k.Counts().Failed {
			t.Errorf("%s: %d reports, %d counted", what, n, k.Counts().Failed)
		}
		for _, err := range reported {
			if !errors.Is(err, errShelf) && !errors.Is(err, errPanicked) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	// Without anybody to report to.
	k := newKeys(&shelf{panics: true}, Options{}, derived)
	defer k.Close()
	get(t.Context(), k, chat(t, "a")).has(t, chat(t, "a"))
}

func TestAFailingDerivationReachesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step, failed := make(chan struct{}), errors.New("no derivation")
		k := newKeys(newShelf(), Options{}, func(n Name) (secret.Key, error) {
			<-step
			if n.text[0] == 'p' {
				panic(string(n.text))
			}
			return secret.Key{}, failed
		})
		defer k.Close()
		var callers []*caller
		for _, name := range []string{"error", "error", "panic with secrets", "panic with secrets"} {
			callers = append(callers, get(t.Context(), k, chat(t, name)))
			synctest.Wait()
		}
		close(step)
		for i, want := range []error{failed, failed, errPanicked, errPanicked} {
			callers[i].ends(t, want)
			if shownAs(fmt.Sprint(callers[i].err), []byte("panic with secrets")) != "" {
				t.Errorf("the error repeats what the panic said: %v", callers[i].err)
			}
		}
		if len(k.cache.keys) != 0 || len(k.searches) != 0 {
			t.Error("something is left of it")
		}
	})
}

func TestKeysAreOfSymmetricKindsOnly(t *testing.T) {
	k := NewKeys(newShelf(), Options{})
	defer k.Close()
	own := identityKey(t, readVectors(t).Identities[0].PrivateKey).Public()
	for _, name := range []Name{{}, Partitioned(own), must(t)(Personal(own))} {
		if _, err := k.Get(t.Context(), name); !errors.Is(err, ErrKind) {
			t.Errorf("%s: %v", name, err)
		}
		if err := k.Ahead(name); !errors.Is(err, ErrKind) {
			t.Errorf("%s ahead: %v", name, err)
		}
	}
}

// The keys that it really gives.
func TestKeysAreTheDerivedOnes(t *testing.T) {
	v := readVectors(t).Named[0]
	shelf := newShelf()
	k := NewKeys(shelf, Options{})
	key, err := k.Get(t.Context(), chat(t, v.Name))
	k.Close()
	saved := shelf.keys[chat(t, v.Name).Digest()]
	if want, _ := secret.NewKey(unhex(t, v.SymKey)); err != nil || !key.Equal(&want) || !saved.Equal(&want) {
		t.Errorf("another key, %v", err)
	}
}

// A name may be wiped by its owner while its key is being derived.
func TestANameIsCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		k := newKeys(newShelf(), Options{}, b.derive)
		defer k.Close()
		name, same := chat(t, "passing"), chat(t, "passing")
		ctx, cancel := context.WithCancel(t.Context())
		left := get(ctx, k, name)
		b.began(t, "passing")
		cancel()
		left.ends(t, context.Canceled)
		name.Wipe()
		close(b.step)
		get(t.Context(), k, same).has(t, same)
		if got := k.Counts(); got.Derived != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// Neither the key nor the name is left in a search when the last caller has gone.
func TestASearchIsWipedAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, name := newBench(), chat(t, "searched")
		k := newKeys(newShelf(), Options{}, b.derive)
		defer k.Close()
		first, second := get(t.Context(), k, name), get(t.Context(), k, name)
		synctest.Wait()
		s := k.searches[name.Digest()]
		text := s.name.text
		close(b.step)
		first.has(t, name)
		second.has(t, name)
		if !s.key.IsZero() || string(text) != "\x00\x00\x00\x00\x00\x00\x00\x00" {
			t.Errorf("left of the name: %q; the key is wiped: %v", text, s.key.IsZero())
		}
	})
}

// A key that is dropped is wiped, is not derived ahead, and is found again when it is
// wanted.
func TestDroppedKeysAreWiped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		k := newKeys(newShelf(), Options{Workers: 1}, b.derive)
		defer k.Close()
		for _, name := range []string{"first", "second"} {
			if err := k.Ahead(chat(t, name)); err != nil {
				t.Fatal(err)
			}
		}
		b.began(t, "first")
		k.Drop(chat(t, "second").Digest()) // its turn has not come
		k.Drop(chat(t, "unknown").Digest())
		b.step <- struct{}{}
		synctest.Wait()
		b.began(t, "first")
		held := &entry(k.cache.keys[chat(t, "first").Digest()]).key
		k.Drop(chat(t, "first").Digest())
		if !held.IsZero() || len(k.cache.keys) != 0 || len(k.searches) != 0 {
			t.Errorf("%d keys, %d searches, wiped: %v", len(k.cache.keys), len(k.searches), held.IsZero())
		}
		get(t.Context(), k, chat(t, "first")).has(t, chat(t, "first"))
	})
}
