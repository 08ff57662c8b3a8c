package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-im/rookery"
)

// ListenCmd prints what comes.
type ListenCmd struct {
	hosted
	metricsFlags
	For   time.Duration `name:"for" placeholder:"TIME" help:"End after this long, such as 90s or 1h."`
	Count int           `name:"count" placeholder:"N" help:"End after this many messages; if --for ends before, the exit status is 1."`
	NoAck bool          `name:"no-ack" help:"Acknowledge nothing: what was printed is printed again the next time."`
	All   bool          `name:"all" help:"Also print what was refused, and steps in the life of sessions."`
}

var (
	errListen = errors.New("--for and --count cannot be negative")
	errTooFew = fmt.Errorf("%w: the time is over", errBadResult)
)

// Run implements kong's command. Without --identity it listens for all of a store.
func (c *ListenCmd) Run(out *output) error {
	if c.For < 0 || c.Count < 0 {
		return errListen
	}
	ctx, stop := interruptible()
	defer stop()
	server, err := c.serve(ctx, out)
	if err != nil {
		return err
	}
	defer server.close()
	l := newListener(c, out)
	return c.run(ctx, out, needs{network: true, handler: l.handle, meters: server.provider()}, func(ctx context.Context, engine *rookery.Engine) error {
		whom := engine.Identities()
		if c.Identity != "" || len(whom) == 0 {
			one, err := pickIdentity(engine, c.Identity)
			if err != nil {
				return err
			}
			whom = []*rookery.Identity{one}
		}
		var announcing sync.WaitGroup
		defer announcing.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		announcing.Go(func() {
			for _, i := range whom {
				_ = publishCode(ctx, i) // messages may come without it, too
			}
		})
		_, _ = fmt.Fprintf(out.progress.to, "rookery: listening for %s\n", listed(whom, namesOf))
		l.begin(whom)
		return l.wait(ctx, c.For)
	})
}

// listener prints events and acknowledges them.
type listener struct {
	command *ListenCmd
	out     *output

	mu      sync.Mutex
	early   []rookery.Event // from before it was known for whom to listen
	whom    map[*rookery.Identity]bool
	printed int // messages
	err     error
	over    bool
	done    chan struct{} // closed when it is over
}

func newListener(c *ListenCmd, out *output) *listener {
	return &listener{command: c, out: out, done: make(chan struct{})}
}

// handle is the engine's handler.
func (l *listener) handle(e rookery.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.whom == nil {
		l.early = append(l.early, e)
		return
	}
	l.take(e)
}

// begin says for whom to listen.
func (l *listener) begin(whom []*rookery.Identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whom = make(map[*rookery.Identity]bool)
	for _, i := range whom {
		l.whom[i] = true
	}
	for _, e := range l.early {
		l.take(e)
	}
	l.early = nil
}

// take prints an event, and acknowledges it once it is written. What comes after the
// end stays in the inbox. l.mu is held.
func (l *listener) take(e rookery.Event) {
	if l.over || !l.whom[e.To()] {
		return
	}
	v, ok := viewEvent(e, l.command.All)
	if !ok {
		return
	}
	if l.err = v.write(l.out.stdout, l.command.JSON); l.err != nil {
		l.end()
		return
	}
	m, ok := e.(interface{ Ack() })
	if !ok {
		return
	}
	if !l.command.NoAck {
		m.Ack()
	}
	if l.printed++; l.printed == l.command.Count {
		l.end()
	}
}

func (l *listener) end() {
	l.over = true
	close(l.done)
}

// wait returns when enough was printed, the time is over, or ctx ends, which is a
// good end.
func (l *listener) wait(ctx context.Context, length time.Duration) error {
	var over <-chan time.Time
	if length > 0 {
		timer := time.NewTimer(length)
		defer timer.Stop()
		over = timer.C
	}
	late := false
	select {
	case <-l.done:
	case <-ctx.Done():
	case <-over:
		late = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.end()
	}
	if late && l.printed < l.command.Count {
		return fmt.Errorf("%w: %d of %d messages have come", errTooFew, l.printed, l.command.Count)
	}
	return l.err
}
