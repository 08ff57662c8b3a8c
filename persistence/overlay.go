package persistence

import (
	"slices"
	"strings"
)

// overlay holds the records in flight by their names.
type overlay map[Name]*flight

// flight is one record in flight: its writes in the order of their commits. The
// last is what readers see; the others are there in case the last fails.
type flight struct {
	first, last *write

	// The committer's own, for the batch that it makes.
	counted uint64 // the last batch that the record was counted for
	merged  uint64 // the last batch that it was put into
	at      int    // where in that batch
}

// write is one write of a record by a commit.
type write struct {
	record     *Record
	flight     *flight // nil once the write has landed
	prev, next *write  // of the same record
}

func (o overlay) newest(name Name) (Record, bool) {
	f, ok := o[name]
	if !ok {
		return Record{}, false
	}
	return *f.last.record, true
}

// below lists the newest writes under a prefix in ascending order of names.
func (o overlay) below(prefix Name) []Record {
	var records []Record
	for name, f := range o {
		if strings.HasPrefix(string(name), string(prefix)) {
			records = append(records, *f.last.record)
		}
	}
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return records
}

// add puts a commit's writes in flight and returns how many there are.
func (o overlay) add(one *commit) int {
	if len(one.records) <= len(one.few) {
		one.writes = one.few[:len(one.records)]
	} else {
		one.writes = make([]write, len(one.records))
	}
	for i := range one.records {
		w := &one.writes[i]
		w.record = &one.records[i]
		f, ok := o[w.record.Name]
		if !ok {
			f = &flight{first: w}
			o[w.record.Name] = f
		} else {
			w.prev, f.last.next = f.last, w
		}
		w.flight, f.last = f, w
	}
	return len(one.writes)
}

// remove drops a commit's writes and returns how many were in flight.
func (o overlay) remove(one *commit) int {
	removed := 0
	for i := range one.writes {
		w := &one.writes[i]
		f := w.flight
		if f == nil {
			continue
		}
		removed++
		if w.prev == nil {
			f.first = w.next
		} else {
			w.prev.next = w.next
		}
		if w.next == nil {
			f.last = w.prev
		} else {
			w.next.prev = w.prev
		}
		if f.first == nil {
			delete(o, w.record.Name)
		}
		*w = write{}
	}
	return removed
}
