package wakurest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// versionPath is asked to know whether there is somebody, whatever the answer is.
	versionPath = "/debug/v1/version"
	// maxAnswer bounds answers that are not lists of messages (bytes).
	maxAnswer = 64 << 10
	// maxIdle is how many connections are kept for later.
	maxIdle = publishers + readers + 4
	// patience is how many times the timeout an answer may take in all.
	patience = 6
)

// node is the REST interface of a node.
type node struct {
	base    string
	client  *http.Client
	timeout time.Duration
	inAll   time.Duration
}

func newNode(o Options) *node {
	return &node{
		base:    o.URL,
		timeout: o.Timeout,
		inAll:   o.inAll,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				MaxIdleConnsPerHost:    maxIdle,
				IdleConnTimeout:        90 * time.Second,
				TLSHandshakeTimeout:    o.Timeout,
				MaxResponseHeaderBytes: 64 << 10,
				DisableCompression:     true, // nothing that grows when it is read
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (n *node) close() { n.client.CloseIdleConnections() }

// reply is an answer that is being read. It ends with an error if the node is
// silent, or goes on for too long.
type reply struct {
	what   string
	status int
	header http.Header
	// resent: the request went out twice, so that a first answer may be lost.
	resent bool

	body   io.ReadCloser
	left   int64 // bytes that may come until allow
	total  int64 // bytes that may come in all
	ctx    context.Context
	cancel context.CancelCauseFunc
	silent *time.Timer
	pause  time.Duration
}

// open sends a request and gives its answer, of which at most total bytes are read.
func (n *node) open(ctx context.Context, method, path string, query url.Values, body []byte, total int64) (*reply, error) {
	what := method + " " + path
	ctx, cancel := context.WithCancelCause(ctx)
	r := &reply{what: what, left: total, total: total, ctx: ctx, cancel: cancel, pause: n.timeout}
	r.silent = time.AfterFunc(n.timeout, func() { cancel(errSilent) })
	deadline := time.AfterFunc(n.inAll, func() { cancel(errTooLong) })
	context.AfterFunc(ctx, func() { deadline.Stop() })

	var sent atomic.Int32
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent.Add(1) }})
	target := n.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(traced, method, target, bytes.NewReader(body))
	if err != nil { // the error would show the password
		r.close()
		return nil, fmt.Errorf("%s: request cannot be made", what)
	}
	if body == nil {
		request.Body, request.GetBody, request.ContentLength = nil, nil, 0
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	request.Header.Set("Accept", "application/json, text/plain")
	response, err := n.client.Do(request) //nolint:bodyclose // by close
	if err != nil {
		err = r.because(err)
		r.close()
		return nil, err
	}
	r.body, r.status, r.header = response.Body, response.StatusCode, response.Header
	r.resent = sent.Load() > 1
	r.silent.Reset(n.timeout)
	return r, nil
}

// because is why a request has failed, without its URL.
func (r *reply) because(err error) error {
	if cause := context.Cause(r.ctx); cause != nil {
		return fmt.Errorf("%s: %w", r.what, cause)
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return fmt.Errorf("%s: %w", r.what, err)
}

// allow lets n more bytes come, within the total.
func (r *reply) allow(n int64) { r.left = n }

// Read implements io.Reader.
func (r *reply) Read(p []byte) (int, error) {
	most := min(r.left, r.total)
	if most <= 0 {
		return 0, fmt.Errorf("%s: %w", r.what, errTooLong)
	}
	if int64(len(p)) > most {
		p = p[:most]
	}
	n, err := r.body.Read(p)
	r.left -= int64(n)
	r.total -= int64(n)
	if n > 0 {
		r.silent.Reset(r.pause)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.because(err)
	}
	return n, err
}

func (r *reply) close() {
	if r.body != nil {
		// What is left of a short answer is read, so that the connection can be used again.
		r.silent.Reset(min(r.pause, 100*time.Millisecond))
		_, _ = io.CopyN(io.Discard, r.body, 4<<10)
		_ = r.body.Close()
	}
	r.silent.Stop()
	r.cancel(nil)
}

// refused is a refusal if the answer is one.
func (r *reply) refused() error {
	if r.status == http.StatusOK {
		return nil
	}
	r.allow(maxAnswer)
	text, _ := io.ReadAll(io.LimitReader(r, 1<<10))
	refused := &refusal{what: r.what, status: r.status, text: printable(text)}
	if seconds, err := strconv.Atoi(r.header.Get("Retry-After")); err == nil && seconds > 0 {
		refused.pause = min(time.Duration(min(seconds, 3600))*time.Second, maxPause)
	}
	return refused
}

// call is a request with a short answer.
func (n *node) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	r, err := n.open(ctx, method, path, nil, body, maxAnswer)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.refused(); err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// version is what the node says that it is, printable; "" if it says nothing of that.
func (n *node) version(ctx context.Context) (string, error) {
	text, err := n.call(ctx, http.MethodGet, versionPath, nil)
	var refused *refusal
	switch {
	case err == nil:
		return strings.Trim(printable(text), `"`), nil
	case errors.As(err, &refused) && refused.status < http.StatusInternalServerError:
		return "", nil
	}
	return "", retriable(err)
}
