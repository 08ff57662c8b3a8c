package jetstream

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/rookery-im/rookery/transport/carrier"
)

// api is the prefix of the subjects of JetStream.
const api = "$JS.API."

// A server does not answer what is not allowed. It says so on the side, naming the
// subject, and that is brought here to those who wait in vain.
var denials = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// denied are those who wait.
type denied struct {
	mu      sync.Mutex
	waiting map[*waiter]struct{}
}

type waiter struct {
	subject string // or its beginning
	cancel  context.CancelCauseFunc
}

// watch ends ctx with ErrDenied as its cause when a subject of the API is denied.
func (d *denied) watch(ctx context.Context, subject string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &waiter{api + subject, cancel}
	d.mu.Lock()
	d.waiting[w] = struct{}{}
	d.mu.Unlock()
	return ctx, func() {
		d.mu.Lock()
		delete(d.waiting, w)
		d.mu.Unlock()
		cancel(context.Canceled)
	}
}

// deny takes what the server says.
func (c *Carrier) deny(text string) {
	found := denials.FindStringSubmatch(text)
	if found == nil {
		return
	}
	publishing, subject := strings.EqualFold(found[1], "publish"), found[2]
	verb := "listening to"
	if publishing {
		verb = "publishing to"
	}
	err := fmt.Errorf("%w: %s %s", ErrDenied, verb, subject)
	switch {
	case !publishing && strings.HasPrefix(subject, c.options.Inbox+"."):
		c.denied.tell(err, func(*waiter) bool { return true }) // no answer will come
	case publishing && strings.HasPrefix(subject, api):
		c.denied.tell(err, func(w *waiter) bool { return strings.HasPrefix(subject, w.subject) })
	case publishing && c.names.tokenOf(subject) != "":
		c.publisher.settleSubject(subject, fmt.Errorf("%w: %w", carrier.ErrMessage, err))
	default:
		c.health.note(err)
	}
}

func (d *denied) tell(err error, concerns func(*waiter) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := range d.waiting {
		if concerns(w) {
			w.cancel(err)
		}
	}
}

// ask makes one request of the API, which ends in time and when it is denied.
func (c *Carrier) ask(ctx context.Context, subject string, request func(context.Context) error) error {
	ctx, done := c.denied.watch(ctx, subject)
	defer done()
	limited, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	err := request(limited)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil && limited.Err() != nil {
		return fmt.Errorf("%w: no answer from %s%s", carrier.ErrUnreachable, api, subject)
	}
	return err
}
