package persistence_test

import (
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
)

// Applied hears of each batch that is durable, with what was in it, and of no other.
func TestAppliedHearsOfEachBatchThatIsDurable(t *testing.T) {
	type batch struct{ commits, records int }
	var heard []batch
	p := newPipe(t, persistence.CommitterOptions{Applied: func(commits, records int, took time.Duration) {
		if took <= 0 {
			t.Errorf("it took %v", took)
		}
		heard = append(heard, batch{commits, records})
	}})
	stream := p.committer.NewStream(persistence.Fence{})
	release := p.hold()
	p.commit(stream, "one", put("a", "1"), put("b", "1"))
	p.commit(stream, "two", put("a", "2")) // in the place of the first
	release()
	p.expect(result{"held", nil}, result{"one", nil}, result{"two", nil})
	p.store.FailApply(1, errDisk)
	p.commit(stream, "three", put("a", "3"))
	p.expect(result{"three", errDisk})
	if err := p.committer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []batch{{1, 1}, {2, 2}}; len(heard) != 2 || heard[0] != want[0] || heard[1] != want[1] {
		t.Errorf("heard of %v, want %v", heard, want)
	}
}
