package persistence_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
)

// later is a committer and the batches that it has made durable, in a bubble of time.
type later struct {
	*testing.T
	store     persistence.Store
	committer *persistence.Committer
	stream    *persistence.Stream
	mu        sync.Mutex
	done      []string
}

// settled are those whose continuations have run.
func (l *later) settled() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.done)
}

func newLater(t *testing.T, opts persistence.CommitterOptions) *later {
	l := &later{T: t, store: memory.New()}
	l.committer = persistence.NewCommitter(l.store, opts)
	l.stream = l.committer.NewStream(persistence.Fence{})
	t.Cleanup(func() { l.close() })
	return l
}

func (l *later) close() {
	if err := l.committer.Close(context.Background()); err != nil {
		l.Error(err)
	}
}

func (l *later) hand(to func([]persistence.Record, func(error)), label string) {
	record := persistence.Record{Name: persistence.NewName(persistence.KindInbox, []byte(label))}
	to([]persistence.Record{record}, func(err error) {
		if err != nil {
			l.Errorf("%s: %v", label, err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.done = append(l.done, label)
	})
}

// expect says how many batches there are when nothing moves any more, and whose
// continuations have run.
func (l *later) expect(batches uint64, settled ...string) {
	l.Helper()
	synctest.Wait()
	if got := l.committer.Counts().Batches; got != batches {
		l.Errorf("%d batches, want %d", got, batches)
	}
	if got := l.settled(); !slices.Equal(got, settled) {
		l.Fatalf("settled %v, want %v", got, settled)
	}
}

func TestLaterGoesWithTheNextThatSomebodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater(t, persistence.CommitterOptions{})
		l.hand(l.stream.CommitLater, "first")
		time.Sleep(3 * time.Millisecond)
		l.hand(l.stream.CommitLater, "second")
		l.expect(0)
		l.hand(l.stream.Commit, "third")
		l.expect(1, "first", "second", "third")
	})
}

func TestLaterWaitsForTenMillisecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater(t, persistence.CommitterOptions{})
		for range 3 { // also when it has waited before
			batches, settled := l.committer.Counts().Batches, l.settled()
			l.hand(l.stream.CommitLater, "first")
			time.Sleep(9 * time.Millisecond)
			l.hand(l.stream.CommitLater, "second")
			l.expect(batches, settled...)
			time.Sleep(time.Millisecond)
			l.expect(batches+1, append(settled, "first", "second")...)
		}
	})
}

func TestLaterIsNotHeldBackWhenItFillsABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater(t, persistence.CommitterOptions{MaxBatch: 2})
		l.hand(l.stream.CommitLater, "first")
		l.hand(l.stream.CommitLater, "second")
		l.expect(1, "first", "second")
	})
}

func TestLaterIsDurableAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater(t, persistence.CommitterOptions{})
		l.hand(l.stream.CommitLater, "first")
		start := time.Now()
		l.close()
		l.expect(1, "first")
		if took := time.Since(start); took != 0 {
			t.Errorf("closing has waited for %v", took)
		}
	})
}

func TestLaterShowsAtOnceAndRestartWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLater(t, persistence.CommitterOptions{})
		l.hand(l.stream.CommitLater, "first")
		name := persistence.NewName(persistence.KindInbox, []byte("first"))
		if _, err := l.committer.Get(context.Background(), name); err != nil {
			t.Error(err)
		}
		l.stream.Restart(name)
		l.expect(1, "first")
	})
}
