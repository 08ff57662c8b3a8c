package deviceactor

import (
	"slices"
	"sync"

	"github.com/rookery-im/rookery/persistence"
)

// batch gathers the records of one commit.
type batch struct{ records []persistence.Record }

// batches are empty ones, shared by all contacts: while it is gathered a batch
// grows, and most contacts have none.
var batches = sync.Pool{New: func() any { return new(batch) }}

// maxBatch is how many records a batch has room for that is kept.
const maxBatch = 1 << 10

// put adds a record. Sessions and contacts are written again by each message; of these
// the last write stays, in the place of the first.
func (b *batch) put(r *persistence.Record) {
	at := -1
	if kind := r.Name.Kind(); kind == persistence.KindSession || kind == persistence.KindContact {
		at = slices.IndexFunc(b.records, func(known persistence.Record) bool { return known.Name == r.Name })
	}
	if at < 0 {
		b.records = append(b.records, *r)
		return
	}
	isNew := b.records[at].New
	b.records[at] = *r
	b.records[at].New = isNew
}

// all are the records; nil has none. They are the batch's.
func (b *batch) all() []persistence.Record {
	if b == nil {
		return nil
	}
	return b.records
}

// release gives the batch back, and the records with it.
func (b *batch) release() {
	if b == nil {
		return
	}
	clear(b.records)
	if b.records = b.records[:0]; cap(b.records) <= maxBatch {
		batches.Put(b)
	}
}
