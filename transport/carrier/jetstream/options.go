package jetstream

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// Options are what a carrier is opened with. Servers, or InProcess, have to be there;
// zero values of the rest give the defaults.
type Options struct {
	// Servers are addresses such as nats://host:4222 or tls://host:4222. Others that a
	// server may tell of are not used. Credentials belong in Login.
	Servers []string
	// InProcess is a server of this process, in place of Servers.
	InProcess interface{ InProcessConn() (net.Conn, error) }
	// Name is what the server calls this connection ("rookery").
	Name  string
	Login Login
	TLS   TLS
	// Inbox is the prefix of the subjects that answers come to ("_INBOX"), for
	// accounts that may not listen to all of them.
	Inbox string

	// Prefix is what all topics are below ("rookery"): letters, digits, '-' and '_' in
	// tokens with dots between them. Ephemeral messages are below Prefix + "-live".
	Prefix string
	Stream Stream

	// InFlight is how many messages are published at once at most before there is
	// ErrBusy (4096), InFlightBytes how many bytes of payload (32 MiB).
	InFlight      int
	InFlightBytes int
	// Filters is how many topics the server picks from the stream (250); with more of
	// them all messages come and are picked here. 1 to 1000.
	Filters int
	// Backlog is how many messages that were missed are delivered one by one (20,000);
	// with more of them there is a Gap.
	Backlog int

	// Timeout is how long an answer may take (5 s).
	Timeout time.Duration
	// Retry is the first time to wait after something failed (100 ms), RetryMax the
	// longest (30 s). It doubles in between, and a random part of it is left away.
	Retry, RetryMax time.Duration
}

// Login is how a carrier proves who it is: at most one of user and password, token,
// key and credentials. It prints as nothing.
type Login struct {
	User, Password string
	Token          string
	// NKeyFile holds the seed of a user's NKEY.
	NKeyFile string
	// CredentialsFile holds a user's JWT and seed, as nsc writes them.
	CredentialsFile string
}

// Format prints nothing of it.
func (l Login) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("[login]")) }

// TLS are PEM files. Any of them makes the connection a TLS one, as tls:// does.
type TLS struct {
	// CA is whom to trust (those of the system if empty).
	CA string
	// Certificate and Key are this side's.
	Certificate, Key string
}

// Stream is the stream that keeps the messages.
type Stream struct {
	// Name of the stream ("rookery").
	Name string
	// Create makes it if it is missing. Its subjects, and what is kept, are then as
	// told here.
	Create bool
	// MaxAge is how long messages are kept (30 days if created here), MaxBytes how many
	// bytes (no limit), MaxPerTopic how many messages of a topic (no limit). Where they
	// are not 0, a stream that is there already has to have the same.
	MaxAge      time.Duration
	MaxBytes    int64
	MaxPerTopic int64
	// Duplicates is how long a message that is published again is known (2 min, or
	// MaxAge if that is less). As above.
	Duplicates time.Duration
	// Replicas is how many servers keep a message (1). As above.
	Replicas int
	// Memory keeps messages in memory. A stream that is there is not asked.
	Memory bool
}

const (
	defaultMaxAge     = 30 * 24 * time.Hour
	defaultDuplicates = 2 * time.Minute
	maxFilters        = 1000
)

var (
	prefixes    = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	streamNames = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	inboxes     = regexp.MustCompile(`^[A-Za-z0-9_$-]+(\.[A-Za-z0-9_$-]+)*$`)
)

// defaults are in place of zeros.
func (o Options) defaults() Options {
	orText := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	orNumber := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	orTime := func(t *time.Duration, d time.Duration) {
		if *t == 0 {
			*t = d
		}
	}
	orText(&o.Name, "rookery")
	orText(&o.Inbox, "_INBOX")
	orText(&o.Prefix, "rookery")
	orText(&o.Stream.Name, "rookery")
	orNumber(&o.InFlight, 4096)
	orNumber(&o.InFlightBytes, 32<<20)
	orNumber(&o.Filters, 250)
	orNumber(&o.Backlog, 20_000)
	orTime(&o.Timeout, 5*time.Second)
	orTime(&o.Retry, 100*time.Millisecond)
	orTime(&o.RetryMax, max(o.Retry, 30*time.Second))
	return o
}

// check is called with the defaults in place.
func (o *Options) check() error {
	if (len(o.Servers) == 0) == (o.InProcess == nil) {
		return fmt.Errorf("%w: servers, or one in this process", carrier.ErrOptions)
	}
	for _, server := range o.Servers {
		u, err := url.Parse(server)
		switch {
		case err != nil:
			return fmt.Errorf("%w: a server's address is none", carrier.ErrOptions) // it may hold a password
		case u.User != nil:
			return fmt.Errorf("%w: credentials in the address of %s", carrier.ErrOptions, u.Host)
		case u.Scheme != "nats" && u.Scheme != "tls", u.Hostname() == "", u.Path != "", u.RawQuery != "":
			return fmt.Errorf("%w: server %s", carrier.ErrOptions, server)
		}
	}
	for name, ok := range map[string]bool{
		"prefix":          prefixes.MatchString(o.Prefix),
		"name of stream":  streamNames.MatchString(o.Stream.Name),
		"inbox":           inboxes.MatchString(o.Inbox),
		"in flight":       o.InFlight > 0 && o.InFlight <= 1<<20,
		"in flight bytes": o.InFlightBytes >= carrier.MaxPayload,
		"filters":         o.Filters > 0 && o.Filters <= maxFilters,
		"backlog":         o.Backlog > 0,
		"timeout":         o.Timeout > 0,
		"retry":           o.Retry > 0 && o.Retry <= o.RetryMax,
		"kept messages":   o.Stream.MaxAge >= 0 && o.Stream.MaxBytes >= 0 && o.Stream.MaxPerTopic >= 0 && o.Stream.Duplicates >= 0 && o.Stream.Replicas >= 0,
		"TLS files":       (o.TLS.Certificate == "") == (o.TLS.Key == ""),
		"login":           o.Login.ways() <= 1 && (o.Login.User == "") == (o.Login.Password == ""),
	} {
		if !ok {
			return fmt.Errorf("%w: %s", carrier.ErrOptions, name)
		}
	}
	return nil
}

// ways is how many kinds of login there are.
func (l *Login) ways() int {
	n := 0
	for _, s := range []string{l.User, l.Token, l.NKeyFile, l.CredentialsFile} {
		if s != "" {
			n++
		}
	}
	return n
}
