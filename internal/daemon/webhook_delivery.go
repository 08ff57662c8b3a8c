package daemon

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/internal/daemon/webhook"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
	"github.com/rookery-im/rookery/proto/record"
)

// delivery posts the events of one feed to the endpoint of one webhook, one after the
// other, until the feed or the daemon ends or the webhook is deleted.
type delivery struct {
	*webhooks
	hook *hook
	feed *feed
	// missedFrom says of whom the feed is, for an event about those that were missed.
	missedFrom hostedKey
}

func (d *delivery) run() {
	defer d.hook.workers.Done()
	at, err := d.feed.begin("")
	for err == nil {
		var event *apiv1.Event
		var missed uint64
		var changed <-chan struct{}
		event, missed, changed, err = d.feed.next(&at, d.hook.id)
		notices := d.hook.now().GetNotices()
		switch {
		case err != nil:
		case missed > 0 && notices:
			err = d.deliver(&apiv1.Event{
				Id: "missed-" + printableCursor(d.feed.cursor(at)), Type: apiv1.EventType_EVENT_TYPE_MISSED,
				Identity: d.missedFrom.key.String(), Installation: d.missedFrom.installation, Count: int64(missed), //nolint:gosec // a count
			})
		case event != nil && (event.GetDurable() || notices):
			err = d.deliver(event)
		case changed != nil:
			err = d.pause(changed, nil)
		}
	}
}

// printableCursor is a cursor as a part of the id of an event, which has no dot.
func printableCursor(cursor string) string {
	return string(bytes.ReplaceAll([]byte(cursor), []byte("."), []byte("-")))
}

// pause waits for a channel or a timer, or until there is nothing more to deliver.
func (d *delivery) pause(until <-chan struct{}, over <-chan time.Time) error {
	select {
	case <-until:
		return nil
	case <-over:
		return nil
	case <-d.hook.ctx.Done():
		return errNoWebhook
	case <-d.feed.over:
		return errGone
	case <-d.stopping:
		return errStopping
	}
}

// attempts are those of one event.
type attempts struct {
	n, refused int
	first      time.Time
}

// deliver posts an event until it is delivered, a dead letter, or not there any more.
func (d *delivery) deliver(event *apiv1.Event) error {
	body, err := bodyOf(event)
	if err != nil { // what cannot be written waits, and holds up nothing behind it
		d.log(slog.LevelError, "event cannot be posted", d.hook, slog.String("error", err.Error()))
		return nil
	}
	var made attempts
	for {
		wakes := d.hook.wakes() // before the attempt: a resume meanwhile counts
		wait, over, err := d.attempt(event, body, &made)
		if err != nil || over {
			return err
		}
		timer := time.NewTimer(wait)
		err = d.pause(wakes, timer.C)
		timer.Stop()
		if err != nil {
			return err
		}
	}
}

// attempt makes one, and gives how long to wait before the next if it is not over.
func (d *delivery) attempt(event *apiv1.Event, body []byte, made *attempts) (wait time.Duration, over bool, err error) {
	h := d.hook
	if err := h.take(h.ctx, d.stopping); err != nil {
		return 0, false, err
	}
	defer h.give()
	name := letterName(event)
	switch stored := h.now(); {
	case event.GetType() != apiv1.EventType_EVENT_TYPE_MISSED && !d.feed.waits(event.GetId()): // forgotten with its contact, or pushed out
		return 0, true, nil
	case h.hasLetter(name) || h.hasDropped(name): // it became one in an earlier life
		d.done(event)
		return 0, true, nil
	case stored.GetDisabled():
		*made = attempts{} // counted anew once it is resumed
		return d.options.WebhookSchedule.Longest, false, nil
	default:
		if made.n == 0 {
			made.first = d.options.Now()
		}
		outcome := d.post(h.ctx, webhook.Delivery{URL: stored.GetUrl(), Secret: h.secret, ID: event.GetId(), Body: body})
		if h.ctx.Err() != nil {
			return 0, false, errNoWebhook
		}
		made.n++
		if d.delivered(h, outcome) || d.isDead(event, outcome, made) {
			d.done(event)
			return 0, true, nil
		}
		wait := d.options.WebhookSchedule.Wait(made.n, outcome)
		if outcome.Verdict == webhook.Gone {
			*made = attempts{}
		}
		return wait, false, nil
	}
}

// done says that the webhook needs an event no more.
func (d *delivery) done(event *apiv1.Event) {
	if d.feed.settle(d.hook.id, event.GetId()) {
		d.left(d.hook.key, event)
	}
}

// delivered notes what an attempt has come to, and tells whether it succeeded. The caller
// has the turn.
func (w *webhooks) delivered(h *hook, outcome webhook.Outcome) bool {
	now := w.options.Now()
	w.outcomes[outcome.Verdict].Add(1)
	if outcome.Verdict == webhook.Delivered {
		if h.succeeded(now) {
			w.log(slog.LevelInfo, "webhook delivers again", h)
		}
		return true
	}
	cause := printable(outcome.Cause)
	if h.failedWith(cause, now) {
		w.log(slog.LevelWarn, "webhook does not deliver", h, slog.String("cause", cause))
	}
	if outcome.Verdict == webhook.Gone && !h.now().GetDisabled() {
		w.disable(h, cause, now)
	}
	return false
}

// disable has a webhook wait for ResumeWebhook, also if that cannot be stored now.
func (w *webhooks) disable(h *hook, cause string, at time.Time) {
	next := h.with(func(r *record.Webhook) { r.Disabled, r.Cause, r.Failed = true, cause, at.UnixNano() })
	h.set(next)
	err := w.store(next)
	w.log(slog.LevelWarn, "webhook is disabled", h, slog.String("cause", cause), slog.Bool("stored", err == nil))
}

// isDead makes a dead letter of an event that was tried often or long enough, if there is
// room, and tells whether it is one.
func (d *delivery) isDead(event *apiv1.Event, outcome webhook.Outcome, made *attempts) bool {
	if outcome.Verdict == webhook.Refused {
		made.refused++
	}
	now := d.options.Now()
	if outcome.Verdict == webhook.Gone || made.refused < d.options.WebhookRefusals && now.Sub(made.first) < d.options.WebhookPatience {
		return false
	}
	plain, _ := proto.Clone(event).(*apiv1.Event)
	plain.Cursor = "" // of this life of the daemon
	content, err := proto.Marshal(plain)
	if err != nil {
		return false
	}
	l := letterOf(plain, made.first.UnixNano(), int64(len(content)))
	l.fresh = true
	d.hook.writing.Lock()
	defer d.hook.writing.Unlock()
	if !d.hook.hasRoom(l.size) || event.GetDurable() && !d.feed.waits(event.GetId()) { // forgotten with its contact meanwhile
		return false
	}
	one, err := recordOf(lettersCollection(d.hook.id), l.name, &record.DeadLetter{
		Event: content, Attempts: int64(made.n), Cause: printable(outcome.Cause), First: l.first, Last: now.UnixNano(),
	})
	if err == nil {
		err = d.keeper.Keep(d.hook.ctx, one)
	}
	if err != nil {
		d.log(slog.LevelWarn, "dead letter cannot be stored", d.hook, slog.String("error", err.Error()))
		return false
	}
	d.hook.addLetter(l)
	d.buried.Add(1)
	d.log(slog.LevelWarn, "webhook has a dead letter", d.hook, slog.Int("attempts", made.n), slog.String("cause", printable(outcome.Cause)))
	return true
}

// bodyOf is an event as it is posted: that of the streams, without its cursor, which is
// theirs.
func bodyOf(event *apiv1.Event) ([]byte, error) {
	plain, _ := proto.Clone(event).(*apiv1.Event)
	plain.Cursor = ""
	text, err := protojson.Marshal(plain)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	if err := json.Compact(&body, text); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}
