package sealing_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/persistence"
)

// survey counts what a walk reads, and says how much is above a name: so many bytes
// for each record, or nothing.
type survey struct {
	persistence.Store
	each uint64
	read int
}

func (s *survey) ScanAfter(ctx context.Context, after persistence.Name, limit int, fn func(persistence.Name, []byte) error) error {
	return s.Store.ScanAfter(ctx, after, limit, func(name persistence.Name, value []byte) error {
		s.read++
		return fn(name, value)
	})
}

func (s *survey) SizeAfter(ctx context.Context, after persistence.Name) (uint64, error) {
	var size uint64
	err := s.Store.ScanAfter(ctx, after, 1<<30, func(persistence.Name, []byte) error {
		size += s.each
		return nil
	})
	return size, err
}

// TestWalkInTheBackgroundTakesItsTimeWithoutCounting: whatever a record needs on the
// disk, and also if nobody can tell, a walk is spread over a quarter of the bound, and no record is read for that.
func TestWalkInTheBackgroundTakesItsTimeWithoutCounting(t *testing.T) {
	const records, bound, within = 1024 * 38, 40 * time.Second, 10 * time.Second
	for _, each := range []uint64{0, 50, 500, 5000} {
		t.Run(fmt.Sprint(each), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := inMemory(newKeyFile(t))
				options.Bound = bound
				below := &survey{each: each}
				unwatched := options.Records
				options.Records = func(dir string) (persistence.Store, error) {
					store, err := unwatched(dir)
					below.Store = store
					return below, err
				}
				store := open(t, options)
				defer shut(t, store)
				for i := 0; i < records; {
					var batch persistence.Batch
					for range 1024 {
						batch.Records = append(batch.Records, persistence.Record{Name: numbered(i), Value: []byte("x")})
						i++
					}
					ok(t, store.Apply(t.Context(), batch))
				}
				below.read = 0
				begun := time.Now()
				ok(t, store.RotateSlowly(t.Context()))
				took := time.Since(begun)
				if took < within*8/10 || took > within*11/10 {
					t.Errorf("took %v, want about %v", took, within)
				}
				// A step that is full has read one record more than it seals.
				if steps := records/128 + 2; below.read > records+2*steps {
					t.Errorf("%d records were read for %d", below.read, records)
				}
			})
		})
	}
}
