package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/internal/daemon/webhook"
	"github.com/rookery-im/rookery/keep"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
	"github.com/rookery-im/rookery/proto/record"
)

// chosen gives dead letters of a webhook: all, or those of events. Events that have none
// are passed over. errChoice, errTooMany.
func chosen(h *hook, events []string, all bool) ([]letter, error) {
	switch {
	case all == (len(events) > 0):
		return nil, errChoice
	case len(events) > maxAcks:
		return nil, fmt.Errorf("%w: %d events, at most %d", errTooMany, len(events), maxAcks)
	}
	return slices.DeleteFunc(h.allLetters(), func(l letter) bool { return !all && !slices.Contains(events, l.event) }), nil
}

// letter reads a dead letter. errNoLetter if it is none any more.
func (w *webhooks) letter(ctx context.Context, h *hook, l letter) (*record.DeadLetter, *apiv1.Event, error) {
	value, found, err := w.keeper.KeptValue(ctx, lettersCollection(h.id), l.name)
	if err == nil && !found {
		err = errNoLetter
	}
	if err != nil {
		return nil, nil, err
	}
	return decodeLetter(keep.Record{Name: l.name, Value: value})
}

func viewLetter(stored *record.DeadLetter, event *apiv1.Event) *apiv1.DeadLetter {
	event.Payload = nil
	return &apiv1.DeadLetter{
		Event: event, Attempts: stored.GetAttempts(), Cause: stored.GetCause(),
		FirstUnixMs: milliseconds(stored.GetFirst()), LastUnixMs: milliseconds(stored.GetLast()),
	}
}

// token names the place of a dead letter in their order.
func (l letter) token() string { return fmt.Sprintf("%d-%s", l.first, l.name) }

// placeOf reads a token. errPage.
func placeOf(token string) (letter, error) {
	first, name, _ := strings.Cut(token, "-")
	ns, err := strconv.ParseInt(first, 10, 64)
	if l := (letter{first: ns, name: name}); err == nil && l.token() == token {
		return l, nil
	}
	return letter{}, errPage
}

// page gives dead letters behind a token, and the token that the next page begins
// behind. One that goes meanwhile is passed over, and its token stays good.
func (w *webhooks) page(ctx context.Context, h *hook, size int, after string) (views []*apiv1.DeadLetter, next string, err error) {
	all := h.allLetters()
	if after != "" {
		place, err := placeOf(after)
		if err != nil {
			return nil, "", err
		}
		all = slices.DeleteFunc(all, func(l letter) bool { return l.compare(place) <= 0 })
	}
	if len(all) > size {
		all, next = all[:size], all[size-1].token()
	}
	for _, l := range all {
		stored, event, err := w.letter(ctx, h, l)
		if errors.Is(err, errNoLetter) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		views = append(views, viewLetter(stored, event))
	}
	return views, next, nil
}

// redeliver tries each dead letter once, until the endpoint is away or the time is over.
func (w *webhooks) redeliver(ctx context.Context, h *hook, letters []letter, within time.Duration) (*apiv1.RedeliverDeadLettersResponse, error) {
	over := time.Now().Add(within)
	var done apiv1.RedeliverDeadLettersResponse
	for n, l := range letters {
		verdict, err := w.again(ctx, h, l, &done)
		if err != nil {
			return nil, err
		}
		if verdict == webhook.Away || verdict == webhook.Gone || time.Now().After(over) {
			done.Untried = int64(len(letters) - n - 1)
			break
		}
	}
	return &done, nil
}

// again tries one, in its turn.
func (w *webhooks) again(ctx context.Context, h *hook, l letter, done *apiv1.RedeliverDeadLettersResponse) (webhook.Verdict, error) {
	if err := h.take(ctx, w.stopping); err != nil {
		return 0, err
	}
	defer h.give()
	if !h.hasLetter(l.name) { // somebody else was faster
		return webhook.Delivered, nil
	}
	stored, event, err := w.letter(ctx, h, l)
	if errors.Is(err, errNoLetter) { // it was dropped by a write that seemed to fail
		h.removeLetter(l.name)
		return webhook.Delivered, nil
	}
	if err != nil {
		return 0, err
	}
	body, err := bodyOf(event)
	if err != nil {
		return 0, err
	}
	outcome := w.post(ctx, webhook.Delivery{URL: h.now().GetUrl(), Secret: h.secret, ID: event.GetId(), Body: body})
	if err := ctx.Err(); err != nil { // whether it was taken is not known
		return 0, err
	}
	if w.delivered(h, outcome) {
		done.Delivered++
		return outcome.Verdict, w.drop(ctx, h, []letter{l})
	}
	h.writing.Lock()
	defer h.writing.Unlock()
	if !h.hasLetter(l.name) { // forgotten with its contact meanwhile
		return outcome.Verdict, nil
	}
	next, _ := proto.Clone(stored).(*record.DeadLetter)
	next.Attempts++
	next.Cause, next.Last = printable(outcome.Cause), w.options.Now().UnixNano()
	r, err := recordOf(lettersCollection(h.id), l.name, next)
	if err == nil {
		err = w.keeper.Keep(ctx, r)
	}
	done.Failed = append(done.Failed, viewLetter(next, event))
	return outcome.Verdict, err
}

// drop deletes dead letters. The caller has the turn. What another webhook may not have
// had yet is noted as dropped.
func (w *webhooks) drop(ctx context.Context, h *hook, letters []letter) error {
	h.writing.Lock()
	defer h.writing.Unlock()
	letters = slices.DeleteFunc(slices.Clone(letters), func(l letter) bool { return !h.hasLetter(l.name) })
	marks, records, err := w.marking(h, letters)
	if err == nil {
		for _, l := range letters {
			records = append(records, keep.Record{Collection: lettersCollection(h.id), Name: l.name})
		}
		err = w.keeper.Keep(ctx, records...)
	}
	if err != nil {
		w.marks.Add(-int64(len(marks)))
		return err
	}
	for _, l := range letters {
		h.removeLetter(l.name)
	}
	w.marked(h, marks)
	return nil
}

// forgetContact deletes the dead letters of a contact that an installation has forgotten,
// and tells how many there were.
func (w *webhooks) forgetContact(ctx context.Context, of hostedKey, contact string) (n int, err error) {
	theirs := func(l letter) bool { return l.installation == of.installation && l.contact == contact }
	for _, h := range w.sorted(&of.key) {
		letters, err := w.eraseLetters(ctx, h, theirs)
		n += letters
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// eraseLetters deletes dead letters, and that others were dropped.
func (w *webhooks) eraseLetters(ctx context.Context, h *hook, of func(letter) bool) (int, error) {
	h.writing.Lock()
	defer h.writing.Unlock()
	var records []keep.Record
	letters, dropped := h.allLetters(), h.allDropped()
	letters = slices.DeleteFunc(letters, func(l letter) bool { return !of(l) })
	dropped = slices.DeleteFunc(dropped, func(l letter) bool { return !of(l) })
	for _, l := range letters {
		records = append(records, keep.Record{Collection: lettersCollection(h.id), Name: l.name})
	}
	for _, l := range dropped {
		records = append(records, keep.Record{Collection: droppedCollection(h.id), Name: l.name})
	}
	if len(records) == 0 {
		return 0, nil
	}
	if err := w.keeper.Keep(ctx, records...); err != nil {
		return 0, err
	}
	for _, l := range letters {
		h.removeLetter(l.name)
	}
	w.unmarked(h, dropped)
	return len(letters), nil
}
