package rookery

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/transport"
)

// Options configure an Engine. Dir or Store, and Transport, have to be given;
// everything else has a default.
type Options struct {
	// Dir is the directory of the store; it is made if it does not exist.
	Dir string
	// Store is used instead of one in Dir. The engine closes it.
	Store persistence.Store
	// Transport carries the envelopes. The engine does not close it.
	Transport transport.Transport
	// Handler takes events. Those of one identity come one after the other,
	// those of different ones in parallel. It may block; that holds up only
	// its identity. Without a handler, received messages stay in the inbox.
	Handler func(Event)
	// Logger gets what happens, never payloads or keys. Default: nothing.
	Logger *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Random is the source of all keys; safe for concurrent use. Default:
	// crypto/rand.
	Random io.Reader
	// MaxInstallations is how many installations of a contact a message goes
	// to, the most recently active first. Default: 3, as deployed.
	MaxInstallations int
	// Requests says what becomes of the first message of an unknown identity.
	// Default: AcceptAll.
	Requests RequestPolicy
	// Devices says what becomes of new installations of contacts. Default:
	// EnableNew.
	Devices DevicePolicy
	// Schedule says when signed prekeys and bundles are renewed. Default:
	// bundleactor.DefaultSchedule.
	Schedule bundleactor.Schedule
	// IdleAfter is how long contacts and sessions may go unused before they
	// leave memory. Default: 5 minutes.
	IdleAfter time.Duration
	// MaxInFlight and MaxInFlightPerContact bound the messages under way in
	// both directions; over them Send is refused with ErrOverloaded and
	// envelopes stay with the transport. Defaults: 65,536 and 4,096.
	MaxInFlight, MaxInFlightPerContact int
	// MaxUnhandled bounds the events of one identity that wait for the
	// handler; over it envelopes stay with the transport. Default: 4,096.
	MaxUnhandled int

	limits ratchet.Limits
}

// Format implements fmt.Formatter: what the interfaces stand for may hold
// secrets, and fmt follows pointers for some verbs.
func (o Options) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "options, directory %q, store %T, transport %T", o.Dir, o.Store, o.Transport)
}

// RequestPolicy says what becomes of the first message of an unknown identity.
type RequestPolicy = deviceactor.RequestPolicy

// The policies for contact requests.
const (
	AcceptAll = deviceactor.AcceptAll // a message like any other
	Ask       = deviceactor.Ask       // a ContactRequest, until the application answers
	DenyAll   = deviceactor.DenyAll   // refused before anything is computed or stored
)

// DevicePolicy says what becomes of new installations of contacts; those of our
// own identity always need approval.
type DevicePolicy = deviceactor.DevicePolicy

// The policies for devices of contacts.
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
	o.MaxInstallations = orDefault(o.MaxInstallations, 3)
	if o.Schedule == (bundleactor.Schedule{}) {
		o.Schedule = bundleactor.DefaultSchedule()
	}
	o.IdleAfter = orDefault(o.IdleAfter, 5*time.Minute)
	o.MaxInFlight = orDefault(o.MaxInFlight, 65_536)
	o.MaxInFlightPerContact = orDefault(o.MaxInFlightPerContact, 4_096)
	o.MaxUnhandled = orDefault(o.MaxUnhandled, 4_096)
	o.limits = ratchet.DeployedLimits()
	return o
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}
