package courier

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/segment"
	"github.com/rookery-im/rookery/transport/topic"
)

// messageSize is what deployed nodes carry, in bytes.
const messageSize = 150_000

// Never is a LookBack that is none.
const Never = time.Duration(-1)

// Options configure a Courier. Carrier and Store have to be given; everything else
// has a default.
type Options struct {
	// Carrier is the network. The courier receives from it and closes it.
	Carrier carrier.Carrier
	// Store keeps topic keys, the cursor and what was dealt with. The courier does not
	// close it.
	Store Store
	// Random is where padding, nonces and ephemeral keys come from; safe for
	// concurrent use. Default: crypto/rand.
	Random io.Reader
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Logger gets what goes on and off, never messages or keys. Default: nothing.
	Logger *slog.Logger

	// Overlap is from how long before the cursor the history is read. It makes good
	// clocks that differ and messages that overtake each other. Default: 1 minute.
	Overlap time.Duration
	// LookBack is how often the history is read for what the network has lost without
	// telling. The cursor waits for it: a restart reads as much. Default: 15 minutes;
	// Never for networks that tell of all gaps.
	LookBack time.Duration
	// History is how far back the history is read at most. Default: 14 days, as long as
	// a replaced signed prekey is kept.
	History time.Duration
	// ContactCodes is how far back it is read for contact codes; only the newest of
	// each are delivered. Default: 30 days.
	ContactCodes time.Duration

	// SegmentSize is how many bytes of a message go into one envelope. Default: three
	// quarters of the 150,000 bytes that deployed nodes carry, as deployed.
	SegmentSize int
	// Rate is how many envelopes are published per second, Burst how many at once.
	// What is over it waits, and identities take turns: one with an envelope to publish
	// waits for at most one envelope of each other one that has some, and for the
	// further parts of large messages that have begun. Default: no limit.
	Rate  float64
	Burst int
	// MaxPublishing and MaxPublishingBytes bound what is being published; over it
	// Publish is refused with ErrBusy. One identity has at most three fourths of it.
	// Defaults: 4,096 and 64 MiB.
	MaxPublishing, MaxPublishingBytes int

	// MaxPending and MaxPendingBytes bound the envelopes that are not settled; when
	// they are reached the carrier is held up. Half of it, and an eighth for one route,
	// is for live ones that wait for older ones from the history. Defaults: 4,096 and
	// 64 MiB.
	MaxPending, MaxPendingBytes int
	// MaxRefused and MaxRefusedBytes bound those that the subscribers of one topic
	// have refused; further ones are left in the history. Defaults: 32 and 1 MiB.
	MaxRefused, MaxRefusedBytes int
	// MaxSeen is how many envelopes are remembered as dealt with: so many that were
	// delivered, and so many others; some 100 bytes of memory each. Where more come
	// within LookBack than that, those of others are tried twice. Default: 200,000.
	MaxSeen int
	// MaxNegotiated is how many negotiated topics one identity listens to. Default:
	// 4,096.
	MaxNegotiated int
	// MaxHistory is how many messages one reading of the history takes before it
	// pauses. Default: 1<<20.
	MaxHistory int

	// Keys are the bounds of topic keys.
	Keys topic.Options
	// Segments are the bounds of unfinished messages: half of it is for those of signers
	// that the recipient has written to, and half for all others, who have a fourth of a
	// signer's share, but room for one message. Default: segment.DefaultLimits.
	Segments segment.Limits
}

// Format implements fmt.Formatter: what the interfaces stand for may hold secrets.
func (o Options) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "courier options, carrier %T, store %T", o.Carrier, o.Store)
}

func orDefault[T int | float64 | time.Duration](value *T, normal T) {
	if *value == 0 {
		*value = normal
	}
}

func (o Options) withDefaults() (Options, error) {
	if o.Carrier == nil || o.Store == nil {
		return o, fmt.Errorf("%w: a carrier and a store are needed", ErrOptions)
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&o.Overlap, time.Minute)
	orDefault(&o.LookBack, 15*time.Minute)
	orDefault(&o.History, 14*24*time.Hour)
	orDefault(&o.ContactCodes, 30*24*time.Hour)
	orDefault(&o.SegmentSize, segment.Size(messageSize))
	orDefault(&o.Burst, 1)
	orDefault(&o.MaxPublishing, 4096)
	orDefault(&o.MaxPublishingBytes, 64<<20)
	orDefault(&o.MaxPending, 4096)
	orDefault(&o.MaxPendingBytes, 64<<20)
	orDefault(&o.MaxRefused, 32)
	orDefault(&o.MaxRefusedBytes, 1<<20)
	orDefault(&o.MaxSeen, 200_000)
	orDefault(&o.MaxNegotiated, 4096)
	orDefault(&o.MaxHistory, 1<<20)
	if o.Segments == (segment.Limits{}) {
		o.Segments = segment.DefaultLimits
	}
	if o.LookBack == Never {
		o.LookBack = 0
	}
	for name, value := range map[string]int{
		"Overlap": int(o.Overlap), "LookBack": int(o.LookBack) + 1, "History": int(o.History), "ContactCodes": int(o.ContactCodes),
		"SegmentSize": o.SegmentSize, "Burst": o.Burst, "MaxPublishing": o.MaxPublishing, "MaxPublishingBytes": o.MaxPublishingBytes,
		"MaxPending": o.MaxPending, "MaxPendingBytes": o.MaxPendingBytes, "MaxRefused": o.MaxRefused,
		"MaxRefusedBytes": o.MaxRefusedBytes, "MaxSeen": o.MaxSeen, "MaxNegotiated": o.MaxNegotiated, "MaxHistory": o.MaxHistory,
	} {
		if value <= 0 {
			return o, fmt.Errorf("%w: %s is negative", ErrOptions, name)
		}
	}
	if o.Rate < 0 {
		return o, fmt.Errorf("%w: Rate is negative", ErrOptions)
	}
	if most := carrier.MaxPayload - envelopeRoom; o.SegmentSize > most {
		return o, fmt.Errorf("%w: SegmentSize %d is more than %d", ErrOptions, o.SegmentSize, most)
	}
	return o, nil
}

// envelopeRoom is what an envelope needs besides the content of a segment.
const envelopeRoom = 1024
