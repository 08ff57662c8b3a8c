package rookery

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
)

// Options configure an Engine. Dir or Store, and Transport or Carrier, have to be
// given; everything else has a default.
type Options struct {
	// Dir is the directory of the store; it is made if it does not exist. Only
	// its user may enter it.
	Dir string
	// Unlock opens the keys that the store in Dir is sealed with: Passphrase,
	// KeyFile or KeyFromEnvironment. It has to be given with Dir.
	Unlock Protector
	// Anchor is the file that tells a store that was put back to an older state
	// from the real one. Default: in Dir. Elsewhere it also tells when the whole
	// directory was put back.
	Anchor string
	// ForgetWithin is how long after a key was used up it can still be recovered
	// from the disk by who has the disk and the key to the store. Default: 1 hour.
	ForgetWithin time.Duration
	// Store is used instead of one in Dir. The engine closes it.
	Store persistence.Store
	// Transport carries the envelopes. The engine does not close it.
	Transport transport.Transport
	// Carrier is a network to send and receive through as deployed clients do, instead
	// of Transport. The engine closes it, also when it cannot be opened.
	Carrier carrier.Carrier
	// Handler takes events. Those of one identity come one after the other,
	// those of different ones in parallel. It may block; that holds up only
	// its identity. Without it and without Events, received messages stay in the
	// inbox and other events are dropped.
	Handler func(Event)
	// Events has events wait for the loops of Engine.Events, instead of a Handler.
	Events bool
	// Logger gets what happens, never payloads or keys. Default: nothing.
	Logger *slog.Logger
	// MeterProvider gets measurements (docs/metrics.md), which name no identity, and
	// nothing of what is sent. Engines need one each. nil: nothing is measured.
	MeterProvider metric.MeterProvider
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Random is the source of all keys; safe for concurrent use. Key pairs of
	// ratchet steps, sessions and signed prekeys are drawn from it ahead of
	// their use, in idle time: which draw becomes which key is not fixed.
	// Default: crypto/rand.
	Random io.Reader
	// MaxInstallations is how many installations of a contact a message goes
	// to, the most recently active first. Default:
	// deviceactor.DefaultMaxInstallations, as deployed.
	MaxInstallations int
	// Requests says what becomes of the first message of an unknown identity.
	// Default: AcceptAll.
	Requests deviceactor.RequestPolicy
	// Devices says what becomes of new installations of contacts. Default:
	// EnableNew.
	Devices deviceactor.DevicePolicy
	// Schedule says when signed prekeys and bundles are renewed. Default:
	// bundleactor.DefaultSchedule.
	Schedule bundleactor.Schedule
	// LookUpWait is how long the first message to a contact of which no installation
	// is known waits for its contact code, before it goes out without forward
	// secrecy. Default: not at all with Transport, 3 seconds with Carrier.
	LookUpWait time.Duration
	// KeepUnsent is how long a message is tried to be published that no network takes.
	// After that an Unsent event says so, and it is dropped. Default: 30 days, as long
	// as deployed networks keep messages; negative: forever.
	KeepUnsent time.Duration
	// KeepReceipts is for how long the keys of Identity.SendOnce are remembered, and that
	// a message was dropped which no network has taken. Default: 24 hours.
	KeepReceipts time.Duration
	// PublishRate is how many envelopes are published per second, of all identities
	// together, and PublishBurst how many at once (default: 1), with Carrier. What is
	// over it waits: identities take turns, and the messages to one contact stay in
	// their order. Default: no limit.
	PublishRate  float64
	PublishBurst int
	// IdleAfter is how long identities, contacts and sessions may go unused before
	// they leave memory. Default: 5 minutes.
	IdleAfter time.Duration
	// MemoryBudget is how many bytes identities that are awake, their contacts and
	// sessions may take, as estimated (docs/operations.md, Sizing). Over it those
	// identities that were not used for the longest time leave memory before
	// IdleAfter; those with work under way stay. Where hardly anybody is used again soon,
	// and staying saves few wakes, less of it is used, but at least a quarter and at least
	// 96 MiB. Default: 384 MiB; negative: no limit.
	MemoryBudget int64
	// MaxInFlight and MaxInFlightPerContact bound the messages under way in
	// both directions; over them Send is refused with cause.ErrOverloaded and
	// envelopes stay with the transport. Defaults: 65,536 and 4,096.
	MaxInFlight, MaxInFlightPerContact int
	// MaxUnhandled bounds the events of one identity that wait for the
	// handler, and MaxUnhandledBytes their payloads; over them envelopes stay with the
	// transport. What Open has found in the inbox counts as events, and is not in memory
	// before its turn. Defaults: 4,096 and 16 MiB.
	MaxUnhandled      int
	MaxUnhandledBytes int64
	// DirectBlock is how many message numbers a Direct reserves at a time when
	// it is used much, at most 250. After a crash receivers see up to twice as
	// many messages as lost. Default: 128.
	DirectBlock int

	limits     ratchet.Limits
	seeing     func(persistence.Store) persistence.Store // of that in Dir, what is used; nil: itself
	sweepEvery time.Duration                             // negative: only when Engine.system is told to
}

// Format implements fmt.Formatter: what the interfaces stand for may hold
// secrets, and fmt follows pointers for some verbs.
func (o Options) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "options, directory %q, store %T, transport %T", o.Dir, o.Store, o.Transport)
}

// What becomes of the first message of an unknown identity, for Options.Requests.
const (
	AcceptAll = deviceactor.AcceptAll // a message like any other
	Ask       = deviceactor.Ask       // a ContactRequest, until the application answers
	DenyAll   = deviceactor.DenyAll   // refused before anything is computed or stored
)

// What becomes of new installations of contacts, for Options.Devices; those of our own
// identity always need approval.
const (
	EnableNew = deviceactor.EnableNew // sent to at once, as deployed
	AskFirst  = deviceactor.AskFirst  // only after Approve, but for the first ones
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	o.MaxInstallations = orDefault(o.MaxInstallations, deviceactor.DefaultMaxInstallations)
	if o.Schedule == (bundleactor.Schedule{}) {
		o.Schedule = bundleactor.DefaultSchedule()
	}
	o.KeepUnsent = max(orDefault(o.KeepUnsent, deviceactor.KeepUnsent), 0)
	o.KeepReceipts = orDefault(o.KeepReceipts, 24*time.Hour)
	o.IdleAfter = orDefault(o.IdleAfter, 5*time.Minute)
	o.MemoryBudget = orDefault(o.MemoryBudget, defaultMemoryBudget)
	if o.Carrier != nil {
		o.LookUpWait = orDefault(o.LookUpWait, 3*time.Second)
	}
	o.MaxInFlight = orDefault(o.MaxInFlight, 65_536)
	o.MaxInFlightPerContact = orDefault(o.MaxInFlightPerContact, 4_096)
	o.MaxUnhandled = orDefault(o.MaxUnhandled, 4_096)
	o.MaxUnhandledBytes = orDefault(o.MaxUnhandledBytes, 16<<20)
	o.limits = ratchet.DeployedLimits()
	o.sweepEvery = orDefault(o.sweepEvery, sweepEvery)
	return o
}

// open gives the store to work on, and its parts if it is one in Dir.
func (o Options) open(ctx context.Context) (persistence.Store, ownStore, error) {
	if o.Store != nil {
		return o.Store, ownStore{}, nil
	}
	var own ownStore
	var err error
	own.sealed, err = sealing.Open(ctx, sealing.Options{
		Dir:       o.Dir,
		Anchor:    o.Anchor,
		Protector: o.Unlock,
		Bound:     o.ForgetWithin,
		Random:    o.Random,
		Now:       o.Now,
		Logger:    o.Logger,
		Records: func(dir string) (persistence.Store, error) {
			var err error
			if own.records, err = pebble.Open(dir, pebble.Options{Logger: o.Logger}); err != nil {
				return nil, err // and no nil *pebble.Store in an interface
			}
			return own.records, nil
		},
	})
	if err != nil {
		return nil, ownStore{}, err // and no nil *sealing.Store in an interface
	}
	if o.seeing != nil {
		return o.seeing(own.sealed), own, nil
	}
	return own.sealed, own, nil
}

// courier gives the transport over the carrier, nil if there is none.
func (o Options) courier(ctx context.Context, store persistence.Store) (*courier.Courier, error) {
	if o.Carrier == nil {
		return nil, nil //nolint:nilnil // none is wanted
	}
	return courier.New(ctx, courier.Options{
		Carrier: o.Carrier, Store: store, Random: o.Random, Now: o.Now, Logger: o.Logger, Rate: o.PublishRate, Burst: o.PublishBurst,
	})
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}
