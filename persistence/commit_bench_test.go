package persistence_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
)

// discard is a store that takes every batch and keeps nothing.
type discard struct{ *memory.Store }

func (discard) Apply(context.Context, persistence.Batch) error { return nil }

// commits hands over one commit of n records and waits for it.
func commits(tb testing.TB, hand func(*persistence.Stream, []persistence.Record, func(error)), n int) (one func()) {
	committer := persistence.NewCommitter(discard{memory.New()}, persistence.CommitterOptions{})
	tb.Cleanup(func() {
		if err := committer.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	stream := committer.NewStream(persistence.Fence{})
	records := make([]persistence.Record, n)
	for i := range records {
		records[i] = put(fmt.Sprint(i), "value")
	}
	durable := make(chan error)
	done := func(err error) { durable <- err }
	return func() {
		hand(stream, records, done)
		if err := <-durable; err != nil {
			tb.Error(err)
		}
	}
}

// BenchmarkCommit is what a commit costs beside what the store does.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 4, 100} {
		b.Run(fmt.Sprint(n, "_records"), func(b *testing.B) {
			one := commits(b, (*persistence.Stream).Commit, n)
			b.ReportAllocs()
			for b.Loop() {
				one()
			}
		})
	}
}

// In the steady state a commit allocates nothing; the race detector has pools lose a
// part of what is put into them.
func TestCommitsAllocateNextToNothing(t *testing.T) {
	for name, hand := range map[string]func(*persistence.Stream, []persistence.Record, func(error)){
		"waited for": (*persistence.Stream).Commit,
		"later":      (*persistence.Stream).CommitLater,
	} {
		one := commits(t, hand, 4)
		if n := testing.AllocsPerRun(100, one); n > 3 {
			t.Errorf("%s: %v objects", name, n)
		}
	}
}
