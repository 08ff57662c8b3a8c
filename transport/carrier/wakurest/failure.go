package wakurest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// ErrTopics: a Light node is not asked to gather so many topics.
var ErrTopics = errors.New("wakurest: too many topics")

var (
	errTooLong = errors.New("answer is too long")
	errShape   = errors.New("answer has an unexpected form")
	errSilent  = errors.New("node is silent")
)

// refusal is an answer other than 200.
type refusal struct {
	what   string // the request
	status int
	text   string // what the node says, printable and short
	pause  time.Duration
}

func (r *refusal) Error() string {
	if r.text == "" {
		return fmt.Sprintf("%s: node answers %d", r.what, r.status)
	}
	return fmt.Sprintf("%s: node answers %d: %s", r.what, r.status, r.text)
}

// maxPause bounds how long a node can tell us to wait.
const maxPause = 30 * time.Second

// busy: the node wants us to slow down. nwaku says so in the text of a 400, too.
func (r *refusal) busy() bool {
	text := strings.ToLower(r.text)
	return r.status == http.StatusTooManyRequests || strings.Contains(text, "rate limit") || strings.Contains(text, "limit exceeded")
}

// kept: the message is there already, from an earlier try.
func (r *refusal) kept() bool {
	return r.status == http.StatusBadRequest && strings.Contains(strings.ToLower(r.text), "duplicate")
}

// passing are what a 400 says about the node and not about the message.
var passing = []string{"not subscribed", "peers", "timedout", "timed out", "rln"}

// published is what a refusal means for a message.
func (r *refusal) published() error {
	switch r.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, 420, http.StatusMisdirectedRequest:
		if r.busy() {
			return fmt.Errorf("%w: %w", carrier.ErrBusy, r)
		}
		text := strings.ToLower(r.text)
		for _, p := range passing {
			if strings.Contains(text, p) {
				return fmt.Errorf("%w: %w", carrier.ErrUnreachable, r)
			}
		}
		return fmt.Errorf("%w: %w", carrier.ErrMessage, r)
	}
	return retriable(r)
}

// retriable is ErrBusy or ErrUnreachable.
func retriable(err error) error {
	var r *refusal
	switch {
	case carrier.Retriable(err):
		return err
	case errors.As(err, &r) && r.busy():
		return fmt.Errorf("%w: %w", carrier.ErrBusy, err)
	}
	return fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
}

// printable is the start of a text, fit for a log.
func printable(text []byte) string {
	const most = 200
	if len(text) > most {
		text = text[:most]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, string(text)))
}
