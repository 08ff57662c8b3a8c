package memory

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/transport/carrier"
)

// ready tells which of the carriers are.
func ready(carriers ...*Carrier) (count int) {
	for _, c := range carriers {
		if c.Health().Ready {
			count++
		}
	}
	return count
}

func TestOutagesAndCutsAddUp(t *testing.T) {
	n := New(Options{})
	first, _ := open(t, n)
	second, _ := open(t, n)
	endCut := first.Cut()
	if ready(first) != 0 || ready(second) != 1 {
		t.Error("a cut concerns one carrier")
	}
	endOutage := n.Outage()
	third, _ := open(t, n)
	if ready(first, second, third) != 0 {
		t.Error("an outage concerns all carriers")
	}
	if errs := publish(t, second, 0, 1); !errors.Is(errs[0], carrier.ErrUnreachable) {
		t.Errorf("published during an outage: %v", errs[0])
	}
	endOutage()
	endOutage()
	if ready(first) != 0 || ready(second, third) != 2 {
		t.Error("a cut outlives an outage")
	}
	endCut()
	if ready(first, second, third) != 3 {
		t.Error("all is over, and not all are ready")
	}
}

func TestGapTellsFromWhereMessagesWereMissed(t *testing.T) {
	n := New(Options{})
	first, _ := open(t, n)
	second, r := open(t, n)
	publish(t, first, 0, 10)
	restore := second.Cut()
	publish(t, first, 10, 30)
	restore()
	eventually(t, "the gap is told", func() bool { return len(r.told()) == 1 })
	if found := asked(t, second, r.told()[0]); len(found) != 20 {
		t.Errorf("%d messages since the gap, want 20", len(found))
	}
	if len(r.got()) != 10 || n.Counts().Missed != 20 {
		t.Errorf("%d messages, counts %+v", len(r.got()), n.Counts())
	}
}

func TestFullQueueTellsOfAGapOnce(t *testing.T) {
	n := New(Options{Queue: 10})
	first, _ := open(t, n)
	r := &receiver{hold: make(chan struct{})}
	second := openFor(t, n, r)
	publish(t, first, 0, 1)
	eventually(t, "the receiver is held up", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(second.queue.waiting) == 0
	})
	publish(t, first, 1, 100)
	if gaps := r.told(); len(gaps) != 0 {
		t.Errorf("gaps %v while the receiver is held up", gaps)
	}
	close(r.hold)
	settled(t, n)
	if gaps := r.told(); len(gaps) != 1 || len(r.got()) != 11 {
		t.Errorf("gaps %v, %d messages", gaps, len(r.got()))
	} else if found := asked(t, second, gaps[0]); len(found) != 89 {
		t.Errorf("%d messages since the gap, want 89", len(found))
	}
}
