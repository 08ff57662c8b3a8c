package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	// idle is how long a consumer lives that nobody asks.
	idle = time.Minute
	// A live window asks for messages in two requests at a time, so that there is
	// always one open; they expire, and the server tells meanwhile that it is there.
	liveBatch, liveRequests = 128, 2
	expires                 = 30 * time.Second
	heartbeat               = 5 * time.Second
	silence                 = 2*heartbeat + 2*time.Second
	// A window of the history asks for pages of what is there.
	page = 256
)

// window is a consumer of the stream that has at most so many messages under way. It
// is for one goroutine.
type window struct {
	c     *Carrier
	ctx   context.Context // its life, which its errors tell of
	done  func()
	name  string
	inbox string
	sub   *nats.Subscription
	in    chan *nats.Msg

	live  bool
	open  []request // oldest first, as the server serves them
	count uint64
	timer *time.Timer

	pending uint64 // how many messages there were at the start
	came    uint64 // how many messages came
	through uint64 // the server has sent all it has up to this sequence, or 0
}

type request struct {
	number uint64
	left   int
}

// delivery is a message and where it stands.
type delivery struct {
	*nats.Msg
	seq, pending uint64
	at           int64
}

// openWindow makes a consumer. A live one waits for messages to come.
func (c *Carrier) openWindow(ctx context.Context, config js.ConsumerConfig, live bool) (*window, error) {
	w := &window{c: c, name: "rookery-" + rand.Text(), inbox: c.nc.NewInbox(), live: live, timer: time.NewTimer(0)}
	w.in = make(chan *nats.Msg, max(liveBatch*liveRequests, page)+64) // messages asked for, heartbeats and statuses
	w.ctx, w.done = c.denied.watch(ctx, "CONSUMER.MSG.NEXT."+c.options.Stream.Name+"."+w.name)
	var err error
	if w.sub, err = c.nc.ChanSubscribe(w.inbox+".*", w.in); err != nil {
		w.done()
		return nil, fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
	}
	config.Name = w.name
	config.AckPolicy = js.AckNonePolicy
	config.InactiveThreshold = idle
	config.MemoryStorage = true
	config.Replicas = 1
	err = c.ask(w.ctx, "CONSUMER.CREATE."+c.options.Stream.Name+"."+w.name, func(ctx context.Context) error {
		consumer, err := c.js.CreateConsumer(ctx, c.options.Stream.Name, config)
		if err == nil {
			w.pending = consumer.CachedInfo().NumPending
		}
		return err
	})
	if err != nil {
		w.close()
		return nil, asked("consumer of stream "+c.options.Stream.Name, err)
	}
	c.addConsumer(w.name)
	return w, nil
}

// close takes the consumer away, if the server can be reached.
func (w *window) close() {
	w.done()
	w.timer.Stop()
	_ = w.sub.Unsubscribe()
	w.c.dropConsumer(w.name)
}

// filtered is config for some tokens, or for everything if there are none. A single one
// is part of the subject of the request, so that an account can be kept to it.
func (c *Carrier) filtered(config js.ConsumerConfig, tokens []string) js.ConsumerConfig {
	if len(tokens) == 1 {
		config.FilterSubject = c.names.kept + tokens[0]
		return config
	}
	for _, token := range tokens {
		config.FilterSubjects = append(config.FilterSubjects, c.names.kept+token)
	}
	return config
}

// next gives the next message. It ends with errEnd when a history has no more, with
// errChanged when changed is closed or has something, with errGone when the consumer
// has to be made anew, and with what has ended the context.
func (w *window) next(changed <-chan struct{}) (delivery, error) {
	patience := silence
	if !w.live {
		patience = w.c.options.Timeout
	}
	for {
		if err := w.ask(); err != nil {
			return delivery{}, err
		}
		w.timer.Reset(patience)
		select {
		case m := <-w.in:
			if m.Reply == "" {
				if err := w.status(m); err != nil {
					return delivery{}, err
				}
				continue
			}
			return w.delivered(m)
		case <-changed:
			return delivery{}, errChanged
		case <-w.ctx.Done():
			return delivery{}, context.Cause(w.ctx)
		case <-w.timer.C:
			return delivery{}, fmt.Errorf("%w: silent for %s", errGone, patience)
		}
	}
}

// ask keeps requests open.
func (w *window) ask() error {
	requests, batch := liveRequests, liveBatch
	if !w.live {
		requests, batch = 1, page
	}
	for len(w.open) < requests {
		w.count++
		body := map[string]any{"batch": batch}
		if w.live {
			body["expires"], body["idle_heartbeat"] = expires, heartbeat
		} else {
			body["no_wait"] = true
		}
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		subject := api + "CONSUMER.MSG.NEXT." + w.c.options.Stream.Name + "." + w.name
		if err := w.c.nc.PublishRequest(subject, w.inbox+"."+strconv.FormatUint(w.count, 36), data); err != nil {
			return fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
		}
		w.open = append(w.open, request{w.count, batch})
	}
	return nil
}

// delivered counts a message. One that is missing before it was lost on the way.
func (w *window) delivered(m *nats.Msg) (delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return delivery{}, fmt.Errorf("%w: a message's place: %w", carrier.ErrHistory, err)
	}
	if meta.Sequence.Consumer != w.came+1 {
		return delivery{}, fmt.Errorf("%w: message %d came after %d", errGone, meta.Sequence.Consumer, w.came)
	}
	w.came++
	if len(w.open) > 0 {
		if w.open[0].left--; w.open[0].left == 0 {
			w.open = w.open[1:]
		}
	}
	w.through = 0
	return delivery{m, meta.Sequence.Stream, meta.NumPending, meta.Timestamp.UnixNano()}, nil
}

// status takes what the server says of a request.
func (w *window) status(m *nats.Msg) error {
	number, _ := strconv.ParseUint(below(w.inbox+".", m.Subject), 36, 64) // none has 0
	switch status := m.Header.Get("Status"); status {
	case "100":
		return w.heartbeat(m.Header)
	case "404", "408": // nothing there; time is over
		for i, r := range w.open {
			if r.number == number {
				w.open = append(w.open[:i:i], w.open[i+1:]...)
				break
			}
		}
		if status == "404" && !w.live {
			return errEnd
		}
		return nil
	default:
		return fmt.Errorf("%w: %s %s", errGone, status, m.Header.Get("Description"))
	}
}

// heartbeat compares what the server has sent with what came.
func (w *window) heartbeat(h nats.Header) error {
	if sent, err := strconv.ParseUint(h.Get("Nats-Last-Consumer"), 10, 64); err != nil || sent != w.came {
		return fmt.Errorf("%w: %d messages sent, %d came", errGone, sent, w.came)
	}
	if through, err := strconv.ParseUint(h.Get("Nats-Last-Stream"), 10, 64); err == nil {
		w.through = through
	}
	return nil
}
