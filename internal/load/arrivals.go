package load

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/sessionactor"
)

// tally counts what becomes of messages while a run is on.
type tally struct {
	sent, expected, arrived, measured counter

	failed, overloaded, short             atomic.Int64
	outOfOrder, duplicates, copies        atomic.Int64
	foreign, leftOver, wrong              atomic.Int64
	established, rekeyed, expired, unsent atomic.Int64

	mu      sync.Mutex
	refused map[string]int64
	alarms  map[string]int64
	errors  map[string]int64
}

// maxCauses bounds how many different causes are told apart.
const maxCauses = 64

// because counts a cause. Errors name who is concerned, and are told apart by the
// innermost of them, which is one of a fixed set.
func (t *tally) because(causes *map[string]int64, err error) {
	text := innermost(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if *causes == nil {
		*causes = make(map[string]int64)
	}
	if _, known := (*causes)[text]; !known && len(*causes) >= maxCauses {
		text = "others"
	}
	(*causes)[text]++
}

// innermost is what an error began with.
func innermost(err error) string {
	for {
		switch e := err.(type) { //nolint:errorlint // it is what is unwrapped here
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				err = inner
				continue
			}
		case interface{ Unwrap() []error }:
			if inner := e.Unwrap(); len(inner) > 0 {
				err = inner[0]
				continue
			}
		}
		return err.Error()
	}
}

func (t *tally) overload() { t.overloaded.Add(1) }

func (t *tally) fail(err error) {
	t.failed.Add(1)
	t.because(&t.errors, err)
}

// repetitions are the causes of a refusal that say: this was read before.
var repetitions = []error{cause.ErrDuplicate, cause.ErrReplayed, cause.ErrUnknownRatchetKey}

func (t *tally) refuse(err error) {
	for _, repetition := range repetitions {
		if errors.Is(err, repetition) {
			err = cause.ErrDuplicate
			break
		}
	}
	t.because(&t.refused, err)
}

// take is the handler of a run.
func (r *run) take(place int, e rookery.Event) {
	switch e := e.(type) {
	case rookery.Message:
		r.arrive(place, e)
		e.Ack()
	case rookery.SentElsewhere:
		if h, ok := decodeHead(e.Payload); ok && h.run == r.id {
			r.outcomes.copies.Add(1)
		}
		e.Ack()
	case rookery.SessionChanged:
		switch e.Change { //nolint:exhaustive // the others are of no interest
		case sessionactor.BecameEstablished:
			r.outcomes.established.Add(1)
		case sessionactor.Replaced:
			r.outcomes.rekeyed.Add(1)
		case sessionactor.BecameExpired:
			r.outcomes.expired.Add(1)
		}
	case rookery.Refused:
		r.outcomes.refuse(e.Err)
	case rookery.Alarm:
		r.outcomes.because(&r.outcomes.alarms, e.Err)
	case rookery.Unsent:
		r.outcomes.unsent.Add(1)
	default:
		acknowledge(e)
	}
}

// arrive enters a message in the books, and has it answered.
func (r *run) arrive(place int, m rookery.Message) {
	h, ok := decodeHead(m.Payload)
	switch {
	case !ok:
		r.outcomes.foreign.Add(1)
		return
	case h.run != r.id:
		r.outcomes.leftOver.Add(1)
		return
	}
	now := time.Since(r.base)
	number, device, sender := place/r.config.Devices, place%r.config.Devices, int(h.sender)
	link, known := r.ledger.link(sender, number)
	if !known || r.world.person(sender, 0).PublicKey() != m.Sender {
		r.outcomes.wrong.Add(1)
		return
	}
	first, overtaken := r.ledger.arrive(link, device, h)
	if !first {
		r.outcomes.duplicates.Add(1)
		return
	}
	if overtaken {
		r.outcomes.outOfOrder.Add(1)
	}
	if h.meant >= r.warm {
		r.delivered.record(place, now-h.meant)
		r.outcomes.measured.add(place, 1)
	}
	r.firstArrival.CompareAndSwap(0, int64(time.Since(r.opened)))
	r.lastArrival.Store(int64(now))
	if h.kind == ask && r.config.Scenario.answered() {
		if device == 0 {
			r.answer.Add(1)
			size := len(m.Payload)
			r.answers.do(func() {
				defer r.answer.Add(-1)
				r.sendOne(Send{From: number, To: sender, Size: size}, now, answer)
			})
		}
	} else {
		r.free(1)
	}
	r.outcomes.arrived.add(place, 1)
}
