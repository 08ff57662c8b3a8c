package persistence

import (
	"slices"
	"strings"
)

// overlay holds the records in flight, by their names and by their subjects: who wakes
// looks for his own among those of everybody.
type overlay struct {
	flights  map[Name]*flight
	subjects map[string]*flight // the last one added of each subject
	kinds    *[256]int          // how many there are of each kind
}

func newOverlay() overlay {
	return overlay{flights: make(map[Name]*flight), subjects: make(map[string]*flight), kinds: new([256]int)}
}

// flight is one record in flight: its writes in the order of their commits. The
// last is what readers see; the others are there in case the last fails.
type flight struct {
	name          Name
	first, last   *write
	newer, before *flight // of the same subject, added later and earlier

	// The committer's own, for the batch that it makes.
	counted uint64 // the last batch that the record was counted for
	merged  uint64 // the last batch that it was put into
	at      int    // where in that batch
}

func (o overlay) newest(name Name) (Record, bool) {
	f, ok := o.flights[name]
	if !ok {
		return Record{}, false
	}
	return f.last.record, true
}

// any tells whether a record under a prefix is in flight.
func (o overlay) any(prefix Name) bool {
	found := false
	o.walk(prefix, func(*flight) bool {
		found = true
		return false
	})
	return found
}

// below lists the newest writes under a prefix in ascending order of names.
func (o overlay) below(prefix Name) []Record {
	var records []Record
	o.walk(prefix, func(f *flight) bool {
		records = append(records, f.last.record)
		return true
	})
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return records
}

// walk visits the flights under a prefix, in any order, until visit tells false. Those
// of one subject are found at once; a shorter prefix is looked for among all, if any is of
// its kind.
func (o overlay) walk(prefix Name, visit func(*flight) bool) {
	if subject, ok := prefix.subject(); ok {
		for f := o.subjects[subject]; f != nil; f = f.before {
			if strings.HasPrefix(string(f.name), string(prefix)) && !visit(f) {
				return
			}
		}
		return
	}
	if prefix != "" && o.kinds[prefix.Kind()] == 0 {
		return
	}
	for name, f := range o.flights {
		if strings.HasPrefix(string(name), string(prefix)) && !visit(f) {
			return
		}
	}
}

// add puts a commit's writes in flight and returns how many there are.
func (o overlay) add(one *commit) int {
	for i := range one.writes {
		w := &one.writes[i]
		f, ok := o.flights[w.record.Name]
		if !ok {
			f, w.spare = w.spare, nil
			f.name, f.first = w.record.Name, w
			o.begin(f)
		} else {
			w.prev, f.last.next = f.last, w
		}
		w.flight, f.last = f, w
	}
	return len(one.writes)
}

// begin adds a flight.
func (o overlay) begin(f *flight) {
	o.flights[f.name] = f
	o.kinds[f.name.Kind()]++
	subject, ok := f.name.subject()
	if !ok {
		return
	}
	if f.before = o.subjects[subject]; f.before != nil {
		f.before.newer = f
	}
	o.subjects[subject] = f
}

// end removes a flight.
func (o overlay) end(f *flight) {
	delete(o.flights, f.name)
	o.kinds[f.name.Kind()]--
	if f.before != nil {
		f.before.newer = f.newer
	}
	if f.newer != nil {
		f.newer.before = f.before
		return
	}
	subject, ok := f.name.subject()
	switch {
	case !ok:
	case f.before != nil:
		o.subjects[subject] = f.before
	default:
		delete(o.subjects, subject)
	}
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
			o.end(f)
			*f = flight{}
			if w.spare == nil {
				w.spare = f
			} else {
				flights.Put(f)
			}
		}
		*w = write{spare: w.spare}
	}
	return removed
}
