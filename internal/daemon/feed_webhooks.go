package daemon

import apiv1 "github.com/rookery-im/rookery/proto/api/v1"

// hold has a webhook get each message of the feed, those that wait and those to come:
// none leaves the engine before settle or release.
func (f *feed) hold(webhook string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.webhooks[webhook] = true
}

// held tells whether a webhook has not had a message. f.mu is held.
func (f *feed) held(e *entry) bool {
	if e.notice > 0 {
		return false
	}
	for webhook := range f.webhooks {
		if !e.had[webhook] {
			return true
		}
	}
	return false
}

// settle notes that a webhook is done with a message: when all are it leaves the engine,
// whether a consumer has acknowledged it or not, and settle tells so.
func (f *feed) settle(webhook, id string) (over bool) {
	f.mu.Lock()
	e := f.known[id]
	if e == nil || e.notice > 0 || !f.webhooks[webhook] {
		f.mu.Unlock()
		return false
	}
	if e.had == nil {
		e.had = make(map[string]bool)
	}
	e.had[webhook] = true
	over = !f.held(e)
	if over {
		f.remove(e)
	}
	f.mu.Unlock()
	if over {
		e.ack()
	}
	return over
}

// release ends what hold began. What only that webhook had to have yet leaves the engine
// if a consumer has acknowledged it or another webhook has had it, and waits otherwise.
// It gives the events that have left.
func (f *feed) release(webhook string) (left []*apiv1.Event) {
	var gone []*entry
	f.mu.Lock()
	delete(f.webhooks, webhook)
	for _, e := range f.entries {
		delete(e.had, webhook)
		if e.notice == 0 && !f.held(e) && (e.acked || len(e.had) > 0) {
			gone = append(gone, e)
		}
	}
	for _, e := range gone {
		f.remove(e)
	}
	f.mu.Unlock()
	for _, e := range gone {
		e.ack()
		left = append(left, e.event)
	}
	return left
}

// waits tells whether an event is still there, and anybody still wants it.
func (f *feed) waits(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended == nil && f.known[id] != nil
}
