package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rookery-im/rookery/persistence"
)

// together runs do n times at once and fails the test with the first error.
func (b *bench) together(n int, do func(i int) error) {
	b.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	b.ok(errors.Join(errs...))
}

var concurrency = map[string]func(*bench){
	"BatchesOfDisjointNamesAllLand": func(b *bench) {
		const writers, each = 8, 25
		b.together(writers, func(writer int) error {
			for i := range each {
				name := session(fmt.Sprint(writer), fmt.Sprint(i))
				if err := b.store.Apply(b.Context(), persistence.Batch{Records: []persistence.Record{put(name, "v")}}); err != nil {
					return err
				}
			}
			return nil
		})
		b.reopen()
		for writer := range writers {
			if got := len(b.scanned(session(fmt.Sprint(writer)))); got != each {
				b.Fatalf("writer %d has %d records, want %d", writer, got, each)
			}
		}
	},
	"WritersOfOneRecordTakeTurns": func(b *bench) {
		const writers, each = 6, 20
		b.together(writers, func(writer int) error {
			for i := range each {
				value := fmt.Sprintf("%d-%d", writer, i)
				batch := persistence.Batch{Records: []persistence.Record{put(session("x"), value), put(session("y"), value)}}
				if err := b.store.Apply(b.Context(), batch); err != nil {
					return err
				}
			}
			return nil
		})
		value, err := b.store.Get(b.Context(), session("x"))
		b.ok(err)
		if !strings.HasSuffix(string(value), fmt.Sprintf("-%d", each-1)) {
			b.Fatalf("the last is %s, which its writer has written over", value)
		}
		b.has(session("y"), string(value))
		b.reopen()
		b.has(session("y"), string(value))
	},
	"ReadersSeeWholeBatches": func(b *bench) {
		done := make(chan struct{})
		b.together(4, func(worker int) error {
			if worker == 0 {
				defer close(done)
				for i := range 100 {
					value := fmt.Sprint(i)
					batch := persistence.Batch{Records: []persistence.Record{put(session("x"), value), put(session("y"), value)}}
					if err := b.store.Apply(b.Context(), batch); err != nil {
						return err
					}
				}
				return nil
			}
			for {
				var seen []string
				err := b.store.Scan(b.Context(), session(), func(_ persistence.Name, value []byte) error {
					seen = append(seen, string(value))
					return nil
				})
				if err != nil {
					return err
				}
				if len(seen) != 0 && (len(seen) != 2 || seen[0] != seen[1]) {
					return fmt.Errorf("a scan saw half a batch: %q", seen)
				}
				select {
				case <-done:
					return nil
				default:
				}
			}
		})
	},
	"EveryEpochIsGivenOnce": func(b *bench) {
		const owners = 16
		epochs := make([]uint64, owners)
		b.together(owners, func(i int) (err error) {
			epochs[i], err = b.store.Own(b.Context(), alice)
			return err
		})
		given := make(map[uint64]bool)
		for _, epoch := range epochs {
			if epoch < 1 || epoch > owners || given[epoch] {
				b.Fatalf("epochs %v: %d is wrong or given twice", epochs, epoch)
			}
			given[epoch] = true
		}
	},
	// T15: whoever was taken over can write nothing from the moment that Own
	// returned, however the calls interleave.
	"NothingLandsUnderALostEpoch": func(b *bench) {
		const rounds = 30
		b.own(alice, 1)
		for round := range uint64(rounds) {
			old, mark := round+1, session(fmt.Sprint(round))
			b.together(2, func(worker int) error {
				if worker == 0 {
					epoch, err := b.store.Own(b.Context(), alice)
					if err != nil || epoch != old+1 {
						return fmt.Errorf("own gave %d: %w", epoch, err)
					}
					// The new owner's word is the last.
					return b.store.Apply(b.Context(), persistence.Batch{
						Fences:  []persistence.Fence{{Owner: alice, Epoch: epoch}},
						Records: []persistence.Record{put(mark, "new")},
					})
				}
				for {
					err := b.store.Apply(b.Context(), persistence.Batch{
						Fences:  []persistence.Fence{{Owner: alice, Epoch: old}},
						Records: []persistence.Record{put(mark, "old")},
					})
					if errors.Is(err, persistence.ErrFenced) {
						return nil
					}
					if err != nil {
						return err
					}
				}
			})
			b.has(mark, "new")
		}
	},
	"CloseWaitsForCalls": func(b *bench) {
		b.together(5, func(worker int) error {
			if worker == 0 {
				return b.store.Close()
			}
			for i := range 200 {
				err := b.store.Apply(b.Context(), persistence.Batch{Records: []persistence.Record{put(session(fmt.Sprint(worker)), fmt.Sprint(i))}})
				if errors.Is(err, persistence.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	},
}
