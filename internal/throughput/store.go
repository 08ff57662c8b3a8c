package throughput

import (
	"context"
	"path/filepath"
	"sync/atomic"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// openStore opens a store as an engine has it, without one.
func (o Options) openStore(ctx context.Context, dir string) (persistence.Store, error) {
	return sealing.Open(ctx, sealing.Options{
		Dir:       filepath.Join(dir, "store"),
		Protector: keyring.KeyFile(filepath.Join(dir, "key")),
		Records:   o.Records,
	})
}

// counting notes what is applied to a store.
type counting struct {
	persistence.Store
	batches, records atomic.Uint64
}

// Apply implements persistence.Store.
func (c *counting) Apply(ctx context.Context, batch persistence.Batch) error {
	c.batches.Add(1)
	c.records.Add(uint64(len(batch.Records)))
	return c.Store.Apply(ctx, batch)
}
