package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
	idleTimeout = time.Minute
	// idlePerHost is how many connections to one host are kept for the next event.
	idlePerHost = 2
	maxIdle     = 256
	// maxHeader and maxAnswer bound what an endpoint may answer, in bytes; what an
	// answer says is not looked at.
	maxHeader = 16 << 10
	maxAnswer = 64 << 10
	// MaxRetryAfter is the longest that an endpoint may ask us to wait.
	MaxRetryAfter = time.Hour
)

// Poster posts deliveries. Safe for concurrent use.
type Poster struct {
	transport *http.Transport // alone: a client would look at redirects
	timeout   time.Duration
	now       func() time.Time
}

// NewPoster makes one. An attempt may take timeout in all; now is the clock that it is
// signed by; roots verify endpoints, nil: those of the host. Proxies of the environment
// are not used, since what they reach could not be checked.
func NewPoster(reach Reach, timeout time.Duration, now func() time.Time, roots *x509.CertPool) *Poster {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return reach.dialer(host).DialContext(ctx, network, address)
		},
		TLSClientConfig:        tlsConfig(roots),
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
	}
	return &Poster{timeout: timeout, now: now, transport: transport}
}

// Close lets go of connections that nobody uses.
func (p *Poster) Close() { p.transport.CloseIdleConnections() }

// Delivery is an event for an endpoint.
type Delivery struct {
	URL    string
	Secret Secret
	ID     string
	Body   []byte // JSON
}

// Verdict is what an attempt has come to.
type Verdict int

// The verdicts.
const (
	// Delivered: the endpoint has answered 2xx.
	Delivered Verdict = iota
	// Refused: it has answered, and does not take this event.
	Refused
	// Away: it has not answered, or says that it cannot take any at this time.
	Away
	// Gone: it wants none any more, 410.
	Gone
)

// String names it as metrics do.
func (v Verdict) String() string { return [...]string{"delivered", "refused", "away", "gone"}[v] }

// Outcome is what became of one attempt.
type Outcome struct {
	Verdict Verdict
	// Cause says for people why it was not delivered, in words of our own: without the
	// URL, and with nothing that the endpoint has said but its status.
	Cause string
	// RetryAfter is how long the endpoint wants to be left alone, at most MaxRetryAfter.
	RetryAfter time.Duration
}

// Post makes one attempt.
func (p *Poster) Post(ctx context.Context, d Delivery) Outcome {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil || !signable(d.ID) {
		return Outcome{Verdict: Refused, Cause: "it cannot be posted"}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "rookery-webhook/1")
	d.Secret.sign(r.Header, d.ID, p.now(), d.Body)
	answer, err := p.transport.RoundTrip(r)
	if err != nil {
		return Outcome{Verdict: Away, Cause: cause(err)}
	}
	if answer.StatusCode >= 200 { // the body of 101 is the connection, which does not end with ctx
		_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer) // so that the connection can be used again
	}
	_ = answer.Body.Close()
	return p.judge(answer)
}

// judge says what an answer means.
func (p *Poster) judge(answer *http.Response) Outcome {
	code := answer.StatusCode
	o := Outcome{Verdict: Refused, Cause: fmt.Sprintf("answer %d", code), RetryAfter: p.retryAfter(answer.Header.Get("Retry-After"))}
	switch {
	case code >= 200 && code < 300:
		return Outcome{Verdict: Delivered}
	case code == http.StatusGone:
		o.Verdict = Gone
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests,
		code == http.StatusBadGateway, code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		o.Verdict = Away
	}
	return o
}

// retryAfter reads seconds or a time of HTTP.
func (p *Poster) retryAfter(text string) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(p.now())
	}
	return min(max(wait, 0), MaxRetryAfter)
}
