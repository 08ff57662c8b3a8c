package persistence

import (
	"fmt"
	"testing"
)

// What a commit that is used again still has are flights that say nothing, also when its
// record has begun in another one, and when it has never been in flight.
func TestReleasedCommitHoldsNothing(t *testing.T) {
	o := newOverlay()
	for _, n := range []int{1, fewWrites, fewWrites + 1, 2*fewWrites + 1} {
		var records []Record
		for i := range n {
			records = append(records, Record{Name: NewName(KindSession, fmt.Append(nil, i)), Value: []byte("secret"), New: true})
		}
		done := func(error) {}
		first, second, never := newCommit(&Stream{}, records, done), newCommit(&Stream{}, records, done), newCommit(&Stream{}, records, done)
		o.add(first)
		o.add(second)
		o.remove(first)
		o.remove(second)
		never.err = ErrClosed
		for i, one := range []*commit{first, second, never} {
			one.release()
			if one.stream != nil || one.done != nil || one.err != nil || !one.due.IsZero() || len(one.writes) != 0 {
				t.Errorf("%d records, commit %d: %+v", n, i, one)
			}
			for _, w := range one.writes[:cap(one.writes)] {
				if w.spare != nil && *w.spare != (flight{}) {
					t.Errorf("%d records, commit %d: %+v", n, i, w.spare)
				}
				if w.record.Name != "" || w.record.Value != nil || w.flight != nil || w.prev != nil || w.next != nil {
					t.Errorf("%d records, commit %d: %+v", n, i, w)
				}
			}
		}
	}
	if len(o.flights) != 0 {
		t.Errorf("%d flights left over", len(o.flights))
	}
}
