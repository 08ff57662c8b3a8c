package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/keep"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
	"github.com/rookery-im/rookery/proto/record"
)

// A dead letter also says that its webhook is done with an event that the engine still
// has for another webhook, and tells again after a restart. One that is dropped leaves a
// mark for that, until the event leaves the engine.

// maxDropped bounds the marks of one webhook; over it the oldest go.
const maxDropped = maxLetters

// droppedCollection has the marks of a webhook: records of dead letters whose events are
// their names alone.
func droppedCollection(id string) string { return "dropped letters of " + id }

func (w *webhooks) readDropped(ctx context.Context, h *hook) error {
	var all []letter
	for r, err := range w.keeper.Kept(ctx, droppedCollection(h.id)) {
		if err != nil {
			return err
		}
		stored, event, err := decodeLetter(r)
		if err != nil {
			return err
		}
		all = append(all, letterOf(event, stored.GetFirst(), 0))
	}
	w.marks.Add(int64(len(all)))
	w.marked(h, all)
	return nil
}

// marking gives the marks that dropping letters takes, counted already, and the records
// of them and of those that have to go for them. h.writing is held.
func (w *webhooks) marking(h *hook, letters []letter) (marks []letter, records []keep.Record, err error) {
	for _, l := range letters {
		w.marks.Add(1) // before it is looked whether the event waits: it may leave now
		if !w.awaited(h, l) {
			w.marks.Add(-1)
			continue
		}
		marks = append(marks, l)
		content, err := proto.Marshal(&apiv1.Event{Id: l.event, Installation: l.installation, Contact: l.contact})
		if err != nil {
			return marks, nil, err
		}
		r, err := recordOf(droppedCollection(h.id), l.name, &record.DeadLetter{Event: content, First: l.first})
		if err != nil {
			return marks, nil, err
		}
		records = append(records, r)
	}
	return marks, records, nil
}

// awaited tells whether the engine may have the event of a dead letter for another
// webhook.
func (w *webhooks) awaited(h *hook, l letter) bool {
	w.mu.Lock()
	f := w.followed[hostedKey{h.key, l.installation}]
	others := false
	for _, other := range w.all {
		others = others || other.key == h.key && other != h
	}
	w.mu.Unlock()
	return l.durable && f != nil && others && (!l.fresh || f.waits(l.event))
}

// marked notes marks that are stored and counted, and takes away those that are too many.
// h.writing is held, or nobody else knows the webhook.
func (w *webhooks) marked(h *hook, marks []letter) {
	h.mu.Lock()
	for _, l := range marks {
		if _, twice := h.dropped[l.name]; twice {
			w.marks.Add(-1)
		}
		h.dropped[l.name] = l
	}
	h.mu.Unlock()
	if all := h.allDropped(); len(all) > maxDropped {
		w.unmark(h, all[:len(all)-maxDropped])
	}
}

// unmark deletes marks. What cannot be deleted now is in nobody's way.
func (w *webhooks) unmark(h *hook, marks []letter) {
	records := make([]keep.Record, len(marks))
	for n, l := range marks {
		records[n] = keep.Record{Collection: droppedCollection(h.id), Name: l.name}
	}
	if err := w.keeper.Keep(context.Background(), records...); err != nil {
		w.log(slog.LevelDebug, "that dead letters were dropped stays stored", h, slog.String("error", err.Error()))
	}
	w.unmarked(h, marks)
}

func (w *webhooks) unmarked(h *hook, marks []letter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range marks {
		if _, there := h.dropped[l.name]; there {
			delete(h.dropped, l.name)
			w.marks.Add(-1)
		}
	}
}

// left deletes the marks of an event that has left the engine.
func (w *webhooks) left(key rookery.PublicKey, event *apiv1.Event) {
	if w.marks.Load() == 0 {
		return
	}
	name := letterName(event)
	for _, h := range w.sorted(&key) {
		h.writing.Lock()
		if h.hasDropped(name) {
			w.unmark(h, []letter{{name: name}})
		}
		h.writing.Unlock()
	}
}

// hasDropped tells whether the dead letter of an event was dropped.
func (h *hook) hasDropped(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, has := h.dropped[name]
	return has
}

// allDropped gives the marks, the oldest first.
func (h *hook) allDropped() []letter {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.SortedFunc(maps.Values(h.dropped), letter.compare)
}
