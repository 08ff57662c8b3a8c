package courier

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport/carrier"
)

// idSize is how much of a hash is kept, in bytes: enough that nobody finds an
// envelope with the id of another.
const idSize = 16

// id tells envelopes, routes, and envelopes on a route apart.
type id [idSize]byte

// idOf is what an envelope is known by.
func idOf(m *carrier.Message) id {
	h := m.Hash()
	return id(h[:idSize])
}

// on is an envelope on a route, or on a set of them: the order does not matter. The
// parts are hashes, so their sum is as good as one.
func (i id) on(routes ...*route) id {
	for _, r := range routes {
		subtle.XORBytes(i[:], i[:], r.id[:])
	}
	return i
}

// blockSize is how many ids one record has.
const blockSize = 256

// window remembers the last ids, bounded in number and age, in blocks that are
// records of the store.
type window struct {
	which  byte // tells windows of one store apart
	limit  int
	age    int64 // ns
	blocks []*block
	index  map[id]struct{}
	next   uint64
	gone   []uint64 // blocks that the store still has
}

type block struct {
	number  uint64
	ids     []id
	last    int64 // when an id was added last
	stored  int   // how many of ids the store has
	written bool  // the store may have it
}

func newWindow(which byte, limit int, age int64) *window {
	return &window{which: which, limit: limit, age: age, index: make(map[id]struct{})}
}

func (w *window) has(i id) bool {
	_, found := w.index[i]
	return found
}

func (w *window) add(i id, now int64) {
	if w.has(i) {
		return
	}
	n := len(w.blocks)
	if n == 0 || len(w.blocks[n-1].ids) >= blockSize {
		w.blocks = append(w.blocks, &block{number: w.next, ids: make([]id, 0, blockSize)})
		w.next++
		n++
	}
	last := w.blocks[n-1]
	last.ids = append(last.ids, i)
	last.last = now
	w.index[i] = struct{}{}
	w.forget(now)
}

// forget drops whole blocks.
func (w *window) forget(now int64) {
	for len(w.blocks) > 0 && (len(w.index) > w.limit || now-w.blocks[0].last > w.age) {
		first := w.blocks[0]
		for _, i := range first.ids {
			delete(w.index, i)
		}
		if first.written {
			w.gone = append(w.gone, first.number)
		}
		w.blocks[0] = nil
		w.blocks = w.blocks[1:]
	}
}

// load takes a block from the store, in the order of their numbers.
func (w *window) load(number uint64, ids []id, last int64) {
	b := &block{number: number, ids: make([]id, 0, blockSize), last: last, written: true}
	for _, i := range ids {
		if !w.has(i) {
			w.index[i] = struct{}{}
			b.ids = append(b.ids, i)
		}
	}
	b.stored = len(b.ids)
	w.blocks = append(w.blocks, b)
	w.next = number + 1
}

// writes gives what the store lacks; written is called when it has it.
func (w *window) writes(now int64) (records []persistence.Record, written func()) {
	w.forget(now)
	var marks []func()
	for n := len(w.blocks) - 1; n >= 0; n-- { // those that changed are the last ones
		b := w.blocks[n]
		if b.stored == len(b.ids) {
			break
		}
		records = append(records, persistence.Record{Name: w.name(b.number), Value: encodeBlock(b)})
		b.written = true
		size := len(b.ids)
		marks = append(marks, func() { b.stored = size })
	}
	gone := len(w.gone)
	for _, number := range w.gone {
		records = append(records, persistence.Record{Name: w.name(number), Delete: true})
	}
	return records, func() {
		for _, mark := range marks {
			mark()
		}
		w.gone = w.gone[gone:]
	}
}

func (w *window) name(number uint64) persistence.Name {
	return persistence.NewName(persistence.KindEnvelopes, []byte{w.which}, binary.BigEndian.AppendUint64(nil, number))
}

// routeID names a route among the records, and in the ids of envelopes on it.
func routeID(logical string, kind byte, digest [sha256.Size]byte) id {
	h := sha256.New()
	h.Write([]byte("rookery route 1\x00"))
	h.Write([]byte{kind})
	h.Write(digest[:])
	h.Write([]byte(logical))
	return id(h.Sum(nil)[:idSize])
}
