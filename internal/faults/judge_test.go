package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/persistence"
)

// finish opens the store that a crash or a failure has left, brings the scenario
// to its end, lets everybody write to everybody, and tells all that is not as it
// should be.
func (w *world) finish(s scenario) error {
	before := w.ledger.read()
	if err := w.open(); err != nil {
		return err
	}
	waiting, begun, store := w.waiting, w.begun, w.store
	told := make(map[persistence.Name]bool)
	for _, n := range before.delivered {
		told[n.inboxName()] = true
	}
	err := errors.Join(w.asLeft(before), all(
		func() error { return s.run(w) },
		func() error { w.readAll(); return nil },
		w.exchange,
		func() error {
			return w.until("reports of what was in the inbox", func(p past) bool {
				seen := p.reported(begun)
				for name := range waiting {
					if seen[name] == 0 {
						return false
					}
				}
				return true
			})
		},
		w.copied,
	))
	for _, i := range w.engine.Identities() {
		if i.Retired() {
			err = errors.Join(err, fmt.Errorf("%s is retired", i.InstallationID()))
		}
	}
	err = errors.Join(err, w.close())
	after := w.ledger.read()
	for _, name := range store.left {
		err = errors.Join(err, fmt.Errorf("%s is left in the store", name))
	}
	for _, twice := range keysUsedTwice(after.published) {
		err = errors.Join(err, fmt.Errorf("message key used twice: %v", twice))
	}
	messages, copies := after.missing()
	copies = slices.DeleteFunc(copies, func(c promise) bool { return store.copies[c.copyName()] })
	if len(copies) > 0 && !slices.ContainsFunc(copies, func(c promise) bool { return !w.uncopied[c.copyName()] }) {
		// They were made while the engine was closed.
		err = errors.Join(err, all(w.open, w.copied, w.close))
		copies = nil
	}
	messages = append(messages, copies...)
	for _, lost := range messages {
		err = errors.Join(err, fmt.Errorf("lost: %v", lost))
	}
	for _, text := range append(after.alarms, after.lostCopies()...) {
		err = errors.Join(err, errors.New(text))
	}
	for name, times := range after.reported(begun) {
		if times > 1 {
			err = errors.Join(err, fmt.Errorf("%v was reported %d times", name, times))
		}
		if told[name] && !waiting[name] {
			err = errors.Join(err, fmt.Errorf("%v was acknowledged and reported again", name))
		}
	}
	return err
}

// copied waits until each copy has arrived that the store does not have as one to be
// made, and notes those that it has.
func (w *world) copied() error {
	return w.until("copies", func(p past) bool {
		w.uncopied = make(map[persistence.Name]bool)
		_, copies := p.missing()
		for _, c := range copies {
			name := c.copyName()
			if _, err := w.store.Get(context.Background(), name); err != nil {
				return false
			}
			w.uncopied[name] = true
		}
		return true
	})
}

// asLeft compares the inbox as it was opened with what had happened before.
func (w *world) asLeft(before past) error {
	var err error
	acked, ended := set(before.acked), set(before.ended)
	for _, n := range before.delivered {
		name := n.inboxName()
		if !acked[n] && !w.waiting[name] {
			err = errors.Join(err, fmt.Errorf("%q was not acknowledged by %s and is not in its inbox", n.payload, n.at.installation))
		}
		if ended[name] && w.waiting[name] {
			err = errors.Join(err, fmt.Errorf("%q was durably acknowledged by %s and is in its inbox", n.payload, n.at.installation))
		}
	}
	return err
}

// exchange is one more message from every device in use to the other identity,
// which it may not have been introduced to before the crash.
func (w *world) exchange() error {
	for _, i := range w.engine.Identities() {
		to := alice1
		if i.PublicKey() == alice.public {
			to = bob1
		}
		from := device{i.PublicKey(), i.InstallationID()}
		if err := errors.Join(w.introduce(from, to), w.send(from, to.key, "finally, from "+from.installation)); err != nil {
			return err
		}
	}
	return w.arrived()
}
