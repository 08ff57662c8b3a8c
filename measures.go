package rookery

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/metrics"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// measures is what an engine notes for Options.MeterProvider beside its counters.
// Without one nothing is timed.
type measures struct {
	instruments    *metrics.Metrics // nil: nothing is measured
	sent, received sample
	sendsRefused   deviceactor.Refusals
	overloads      [limits]atomic.Uint64
}

// sample picks the messages of one way that are timed.
type sample struct {
	taken   bool
	sampler metrics.Sampler
}

// now is the time for a message that is timed, else zero.
func (s *sample) now() time.Time {
	if !s.taken || !s.sampler.Next() {
		return time.Time{}
	}
	return time.Now()
}

// The bounds that a message can be refused for.
const (
	limitAll     = iota // Options.MaxInFlight
	limitContact        // Options.MaxInFlightPerContact
	limitOutbox         // what the transport has not taken of one contact
	limitWaking         // what waits for an actor that is stopping
	limitEvents         // Options.MaxUnhandled
	limits
)

// limitNames are the labels, and whatLimits how the refusals name them.
var (
	limitNames = [limits]string{"all", "contact", "outbox", "waking", "events"}
	whatLimits = map[string]int{"global": limitAll, "key": limitContact, "outbox": limitOutbox, "passivation buffer": limitWaking}
)

// kinds of actors by their types.
var kinds = map[string]string{
	"*rookery.hosted":     "identity",
	"*rookery.inbox":      "inbox",
	"*rookery.sweeper":    "sweeper",
	"*bundleactor.Actor":  "bundle",
	"*deviceactor.Actor":  "contact",
	"*sessionactor.Actor": "session",
}

var (
	ways   = [...]metrics.Direction{deviceactor.Sending: metrics.Out, deviceactor.Receiving: metrics.In}
	stages = [...]metrics.Stage{
		deviceactor.Queued: metrics.Queue, deviceactor.Computed: metrics.Crypto,
		deviceactor.Committed: metrics.Commit, deviceactor.Published: metrics.Publish,
	}
)

// timed notes how long a message was in a stage. Without instruments no message has a time.
func (m *measures) timed(w deviceactor.Way, s deviceactor.Stage, took time.Duration) {
	m.instruments.Stage(ways[w], stages[s], took)
}

// sendRefused counts a message that was not sent.
func (m *measures) sendRefused(err error) {
	cause := deviceactor.CauseOf(err)
	if errors.Is(err, ErrPayloadSize) {
		cause = deviceactor.CausePayload
	}
	m.sendsRefused.Add(cause)
	m.overloaded(err)
}

// overloaded counts a refusal under its bound, if it is one.
func (m *measures) overloaded(err error) {
	var overloaded *actors.OverloadedError
	if !errors.As(err, &overloaded) {
		return
	}
	if limit, known := whatLimits[overloaded.Limit]; known {
		m.overloads[limit].Add(1)
	}
}

func (m *measures) close() error {
	if m.instruments == nil {
		return nil
	}
	return m.instruments.Close()
}

// causeOfEnvelope is why an envelope did not get as far as its contact.
func causeOfEnvelope(err error) deviceactor.Cause {
	if errors.Is(err, cause.ErrMalformed) {
		return deviceactor.CauseMalformed
	}
	return deviceactor.CauseOf(err)
}

// measure makes the instruments. It comes before the first message.
func (e *Engine) measure() error {
	if e.options.MeterProvider == nil {
		return nil
	}
	m, err := metrics.New(e.options.MeterProvider, e.reading)
	if err != nil {
		return err
	}
	e.measures.instruments = m
	e.measures.sent.taken, e.measures.received.taken = true, true
	return nil
}

// applied is told of each batch; nil if nothing is measured.
func (e *Engine) applied() func(commits, records int, took time.Duration) {
	if e.options.MeterProvider == nil {
		return nil
	}
	return func(commits, records int, took time.Duration) { e.measures.instruments.Batch(commits, records, took) }
}

// reading is what the instruments show when somebody looks.
func (e *Engine) reading() metrics.Reading {
	counts, batches, admission := e.Counts(), e.committer.Counts(), e.admission.Counts()
	r := metrics.Reading{
		Sent: counts.Sent, Copies: counts.Copies, Received: counts.Received, Acknowledged: counts.Acknowledged, Unsent: counts.Unsent,
		Refused:         byCause(&e.counters.Refused),
		SendsRefused:    byCause(&e.measures.sendsRefused),
		Taken:           e.counters.Taken.Load(),
		NotTaken:        e.counters.NotTaken.Load(),
		InFlight:        admission.InFlight,
		SessionsStarted: counts.SessionsStarted,
		RatchetSteps:    counts.RatchetSteps,
		Awake:           int64(counts.Awake), //nolint:gosec // a count
		MemoryBudget:    e.room.budget.Load(),
		Wakes:           counts.Wakes,
		Sleeps:          counts.Sleeps,
		Actors:          e.liveActors(),
		Quarantined:     e.system.Quarantined(),
		Undelivered:     e.system.Undelivered(),
		Batches:         batches.Batches,
		Commits:         batches.Commits,
		Records:         batches.Records,
		BatchesRefused:  batches.Refused,
		Queued:          int64(e.committer.Queued()),
		Network:         e.networkReading(),
	}
	r.Identities, r.Unhandled = e.hostedAndUnhandled()
	for limit := range limits {
		r.Overloads = append(r.Overloads, labelled(limitNames[limit], e.measures.overloads[limit].Load()))
	}
	if e.disk.sealed != nil {
		r.Store, r.Sizes = e.disk.reading(e.options.Now()), e.disk.sizes()
	}
	return r
}

func labelled(value string, n uint64) metrics.Labelled {
	return metrics.Labelled{Value: value, N: int64(n)} //nolint:gosec // it counts from 0
}

func byCause(refusals *deviceactor.Refusals) []metrics.Labelled {
	var all []metrics.Labelled
	refusals.Each(func(c deviceactor.Cause, n uint64) { all = append(all, labelled(c.String(), n)) })
	return all
}

func (e *Engine) liveActors() []metrics.Labelled {
	live := e.system.Live()
	all := make([]metrics.Labelled, 0, len(kinds))
	for actor, kind := range kinds {
		all = append(all, metrics.Labelled{Value: kind, N: live[actor]})
	}
	return all
}

// hostedAndUnhandled looks at all identities: what they count for themselves costs
// nobody a place in memory that all of them write to.
func (e *Engine) hostedAndUnhandled() (hosted, unhandled int64) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, i := range e.identities {
		unhandled += i.unhandled.Load()
	}
	return int64(len(e.identities)), unhandled
}

func (e *Engine) networkReading() *metrics.NetworkReading {
	if e.courier == nil {
		return nil
	}
	health, c := e.courier.Health(), e.courier.Counts()
	return &metrics.NetworkReading{
		Ready: health.Carrier.Ready, Peers: int64(health.Carrier.Peers), Fetching: int64(health.Behind),
		Envelopes: []metrics.Labelled{
			labelled("delivered", c.Delivered), labelled("refused", c.Refused), labelled("left", c.Left),
			labelled("repeated", c.Repeated), labelled("unwanted", c.Unwanted), labelled("foreign", c.Foreign),
			labelled("malformed", c.Malformed), labelled("unsigned", c.Unsigned), labelled("misattributed", c.Misattributed),
			labelled("echo", c.Echoes), labelled("segment", c.Segments), labelled("outdated", c.Outdated), labelled("panic", c.Panics),
		},
	}
}

// ownStore is the store that an engine has opened in Options.Dir.
type ownStore struct {
	sealed  *sealing.Store
	records *pebble.Store
}

func (s ownStore) reading(now time.Time) *metrics.StoreReading {
	c := s.sealed.Condition()
	r := &metrics.StoreReading{Epochs: int64(c.Epochs), RolledBack: c.RolledBack, Unsettled: c.Unsettled}
	if c.Epochs > 0 {
		r.OldestEpoch = max(0, int64(now.Sub(c.Oldest)/time.Second))
	}
	return r
}

// sizesWithin bounds the wait for a store that is being opened anew.
const sizesWithin = time.Second

// sizes is nil if the store cannot tell now.
func (s ownStore) sizes() *metrics.SizeReading {
	ctx, cancel := context.WithTimeout(context.Background(), sizesWithin)
	defer cancel()
	sizes, err := s.records.Sizes(ctx)
	if err != nil {
		return nil
	}
	return &metrics.SizeReading{Files: sizes.Files, Log: sizes.Log}
}
