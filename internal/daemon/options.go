package daemon

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/rookery-im/rookery/internal/daemon/token"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
)

var (
	// ErrPublic: an address that others can reach has to be wanted.
	ErrPublic = errors.New("address is not loopback")
	// ErrTLS: an address that others can reach needs a certificate and its key.
	ErrTLS = errors.New("no TLS")
)

// Options configure a Daemon. Only Tokens has to be given.
type Options struct {
	// Tokens are who may call.
	Tokens token.Folder
	// Logger gets a line for each request, without secrets and payloads. Default: nothing.
	Logger *slog.Logger
	// Now is the clock that tokens expire by. Default: time.Now.
	Now func() time.Time
	// RequestTimeout is how long a request that is no stream may take, and how long
	// its body may take to come. Default: 1 minute.
	RequestTimeout time.Duration
	// WriteTimeout is how long a caller may leave what is written to him unread before
	// he is cut off. Default: 30 seconds.
	WriteTimeout time.Duration
	// SignOfLife is how often a stream says something when nothing happens. Default: 15
	// seconds.
	SignOfLife time.Duration
	// MaxBody bounds a request in bytes, as it comes and unpacked. Default: 2 MiB.
	MaxBody int
	// HeaderTimeout is how long a request may take to come, with its body, whose token is
	// not good or not known yet. Default: 10 seconds.
	HeaderTimeout time.Duration
	// MaxBodies bounds the bodies of all requests that are at work, in bytes. Default:
	// 256 MiB.
	MaxBodies int
	// MaxConnections, MaxRequests and MaxStreams bound what is at work at a time; what
	// waits for a connection is not accepted, requests and streams over them are
	// refused, and one token alone gets at most three quarters of the places. Defaults:
	// 4,096, 1,024 and 1,024.
	MaxConnections, MaxRequests, MaxStreams int
	// Rate is how many requests a second each token may make, and Burst how many at
	// once. Defaults: 1,000 and 2,000.
	Rate  float64
	Burst int
	// MaxWaiting and MaxWaitingBytes bound the messages of one identity that are not
	// acknowledged and in memory: over them the engine keeps what comes from that
	// identity, and in the end the network does. Defaults: 1,024 and 16 MiB.
	MaxWaiting, MaxWaitingBytes int
	// MaxNotices is how many of the events are kept for each identity that the engine
	// does not store. Default: 256.
	MaxNotices int
	// Console serves the page for people (package console), ConsoleHosts under these
	// names too, beside localhost, addresses, and the names of the certificate.
	Console      bool
	ConsoleHosts []string
	// MaxWebhooks is how many webhooks there may be, of all identities. Default: 4,096.
	MaxWebhooks int
	// WebhookReach is what their endpoints may be beside those on the public network by
	// https, and those on this host.
	WebhookReach webhook.Reach
	// WebhookTimeout is how long one attempt may take. Default: 15 seconds.
	WebhookTimeout time.Duration
	// WebhookSchedule is when the next one is made. Default: after 1 second, twice as
	// long behind each, at most 10 minutes.
	WebhookSchedule webhook.Schedule
	// An event is a dead letter when its endpoint has refused it as often as
	// WebhookRefusals says, or after WebhookPatience. Defaults: 10, 72 hours.
	WebhookRefusals int
	WebhookPatience time.Duration

	webhookRoots *x509.CertPool // of endpoints in tests; nil: those of the host
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.RequestTimeout = orDefault(o.RequestTimeout, time.Minute)
	o.WriteTimeout = orDefault(o.WriteTimeout, 30*time.Second)
	o.SignOfLife = orDefault(o.SignOfLife, 15*time.Second)
	o.HeaderTimeout = orDefault(o.HeaderTimeout, 10*time.Second)
	o.MaxBody = orDefault(o.MaxBody, 2<<20)
	o.MaxBodies = orDefault(o.MaxBodies, 256<<20)
	o.MaxConnections = orDefault(o.MaxConnections, 4096)
	o.MaxRequests = orDefault(o.MaxRequests, 1024)
	o.MaxStreams = orDefault(o.MaxStreams, 1024)
	o.Rate = orDefault(o.Rate, 1000)
	o.Burst = orDefault(o.Burst, 2000)
	o.MaxWaiting = orDefault(o.MaxWaiting, 1024)
	o.MaxWaitingBytes = orDefault(o.MaxWaitingBytes, 16<<20)
	o.MaxNotices = orDefault(o.MaxNotices, 256)
	o.MaxWebhooks = orDefault(o.MaxWebhooks, 4096)
	o.WebhookTimeout = orDefault(o.WebhookTimeout, 15*time.Second)
	o.WebhookSchedule.First = orDefault(o.WebhookSchedule.First, time.Second)
	o.WebhookSchedule.Longest = orDefault(o.WebhookSchedule.Longest, 10*time.Minute)
	o.WebhookRefusals = orDefault(o.WebhookRefusals, 10)
	o.WebhookPatience = orDefault(o.WebhookPatience, 72*time.Hour)
	return o
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

// CheckAddress refuses to listen where others than this host can reach us, unless that
// is wanted, and then without TLS, unless that is wanted too. ErrPublic, ErrTLS.
func CheckAddress(address string, public, encrypted, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	switch {
	case !public:
		return fmt.Errorf("%w: %s", ErrPublic, address)
	case !encrypted && !insecure:
		return fmt.Errorf("%w for %s", ErrTLS, address)
	}
	return nil
}
