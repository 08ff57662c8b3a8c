package wakurest

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// PubsubTopic is what deployed clients use for messages between two.
const PubsubTopic = "/waku/2/rs/16/32"

// Options say which node is used, and how. The zero value of each field but URL is
// its default.
type Options struct {
	// URL is where the REST interface of the node is, such as
	// "http://127.0.0.1:8645"; it may have a user and a password.
	URL string
	// PubsubTopic is the shard (PubsubTopic if empty).
	PubsubTopic string
	// Light: the node does not relay, but asks others by lightpush and filter.
	Light bool
	// MaxTopics is how many topics a Light node may be asked to gather (1000 if 0,
	// which is what those it asks take from one node by default).
	MaxTopics int

	// StorePeer is the address (multiaddr) of the node that the node asks for the
	// history. Empty: its own, or one of its choice.
	StorePeer string
	// NoHistory: neither the node nor one it knows keeps a history.
	NoHistory bool

	// Timeout is how long a node may be silent (10 s).
	Timeout time.Duration
	// PollMin and PollMax are the pauses between two reads of a busy and of an idle
	// node (10 ms and 250 ms). A Light node with many topics is read more seldom.
	PollMin, PollMax time.Duration
	// RetryMin and RetryMax are the pauses after the first and after many failures
	// (250 ms and 15 s), of which each is shortened by chance by up to one half.
	RetryMin, RetryMax time.Duration

	// Rate is how many messages are published per second (0: as many as can be), and
	// Burst how many at once after a pause (1 if 0).
	Rate  float64
	Burst int

	// ping is how often those that a Light node has asked are asked whether they still
	// know it, and renew how often they are told anew if there is no clear answer.
	ping, renew time.Duration
	// inAll is how long an answer may take in all (patience times the timeout).
	inAll time.Duration
	// instant is maxInstant.
	instant int
}

// Format implements fmt.Formatter: no verb shows the password.
func (o Options) Format(s fmt.State, _ rune) {
	place := "node"
	if base, err := url.Parse(o.URL); err == nil {
		place = base.Redacted()
	}
	_, _ = fmt.Fprintf(s, "[options for %s]", place)
}

// maxURL bounds what is part of each request line (bytes).
const maxURL = 2048

func (o Options) withDefaults() (Options, error) {
	bad := func(format string, args ...any) (Options, error) {
		return Options{}, fmt.Errorf("%w: %s", carrier.ErrOptions, fmt.Sprintf(format, args...))
	}
	base, err := url.Parse(o.URL)
	switch {
	case err != nil: // the error would show the password
		return bad("URL cannot be parsed")
	case len(o.URL) > maxURL || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.RawQuery != "" || base.Fragment != "":
		return bad("URL of a node: want http://host:port")
	}
	o.URL = strings.TrimRight(o.URL, "/")
	if o.PubsubTopic == "" {
		o.PubsubTopic = PubsubTopic
	}
	if err := checkTopic(carrier.Topic(o.PubsubTopic)); err != nil {
		return bad("pubsub topic %q", o.PubsubTopic)
	}
	if len(o.StorePeer) > maxURL/4 {
		return bad("address of the store peer has %d bytes", len(o.StorePeer))
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"Timeout", &o.Timeout, 10 * time.Second},
		{"PollMin", &o.PollMin, 10 * time.Millisecond},
		{"PollMax", &o.PollMax, 250 * time.Millisecond},
		{"RetryMin", &o.RetryMin, 250 * time.Millisecond},
		{"RetryMax", &o.RetryMax, 15 * time.Second},
		{"ping", &o.ping, time.Minute},
		{"renew", &o.renew, 4 * time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
		if *d.value < time.Millisecond || *d.value > time.Hour {
			return bad("%s is %s", d.name, *d.value)
		}
	}
	if o.inAll == 0 {
		o.inAll = patience * o.Timeout
	}
	if o.MaxTopics == 0 {
		o.MaxTopics = 1000
	}
	if o.Burst == 0 {
		o.Burst = 1
	}
	if o.instant == 0 {
		o.instant = maxInstant
	}
	switch {
	case o.PollMin > o.PollMax:
		return bad("PollMin is above PollMax")
	case o.RetryMin > o.RetryMax:
		return bad("RetryMin is above RetryMax")
	case o.MaxTopics < 0:
		return bad("MaxTopics is %d", o.MaxTopics)
	case o.Rate < 0 || o.Rate > 1e6:
		return bad("Rate is %g", o.Rate)
	case o.Burst < 0 || o.Burst > 1e6:
		return bad("Burst is %d", o.Burst)
	}
	return o, nil
}
