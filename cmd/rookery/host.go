package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/rookery-im/rookery"
)

// host says in which store identities live, what opens it, how the network is
// reached, and how results are written.
type host struct {
	Dir string `name:"dir" required:"" type:"path" env:"ROOKERY_DIR" placeholder:"DIR" help:"Directory of the store (ROOKERY_DIR)."`
	opener
	Transport string `name:"transport" env:"ROOKERY_TRANSPORT" placeholder:"NETWORK" help:"How the network is reached: memory, waku:MULTIADDR[,store=URL], wakurest:URL or nats://HOST:PORT (ROOKERY_TRANSPORT)."`
	JSON      bool   `name:"json" help:"Write one JSON object per line instead of text."`
}

// hosted is one identity of a store.
type hosted struct {
	host
	Identity string `name:"identity" env:"ROOKERY_IDENTITY" placeholder:"WHO" help:"Which identity: its name, or the beginning of its key or installation id; not needed if there is only one (ROOKERY_IDENTITY)."`
}

// closePatience is how long the end of a command waits for what is under way.
const closePatience = 30 * time.Second

// needs says what a command cannot do without.
type needs struct {
	network bool
	// makes: a store that does not exist is made.
	makes bool
	// handler takes events; nil leaves messages in the inbox.
	handler func(rookery.Event)
	// logger is used instead of one of warnings on standard error.
	logger *slog.Logger
	// meters get what the engine measures; nil: nothing is measured.
	meters metric.MeterProvider
}

var errNoNetwork = errors.New("no network: give --transport, or set ROOKERY_TRANSPORT")

// run opens the store's engine, works with it, and closes it.
func (h *host) run(ctx context.Context, out *output, n needs, work func(context.Context, *rookery.Engine) error) error {
	engine, err := h.open(ctx, out, n)
	if err != nil {
		return explained(err)
	}
	err = work(ctx, engine)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	return explained(errors.Join(err, engine.Close(closing)))
}

func (h *host) open(ctx context.Context, out *output, n needs) (*rookery.Engine, error) {
	if n.network && h.Transport == "" {
		return nil, errNoNetwork
	}
	if !n.makes {
		if err := exists(h.Dir); err != nil {
			return nil, fmt.Errorf("%w: rookery identity create makes one", err)
		}
	}
	key, err := h.unlock()
	if err != nil {
		return nil, err
	}
	options := rookery.Options{
		Dir:       h.Dir,
		Anchor:    h.Anchor,
		Unlock:    key,
		Transport: offline{},
		Handler:   n.handler,

		MeterProvider: n.meters,
		Requests:      rookery.Ask,
		Logger:        n.logger,
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.NewTextHandler(out.progress.to, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	if h.Transport != "" {
		spec, err := parseTransport(h.Transport)
		if err != nil {
			return nil, err
		}
		options.Transport = nil
		if err := openTransport(ctx, spec, &options); err != nil {
			return nil, err
		}
	}
	return rookery.Open(ctx, options)
}

// withIdentity is run for commands that do something with one identity.
func (h *hosted) withIdentity(out *output, n needs, work func(context.Context, *rookery.Identity) error) error {
	ctx, stop := interruptible()
	defer stop()
	return h.run(ctx, out, n, func(ctx context.Context, engine *rookery.Engine) error {
		i, err := pickIdentity(engine, h.Identity)
		if err != nil {
			return err
		}
		return work(ctx, i)
	})
}

const (
	// announcePatience is how long a command waits for the network to take a contact
	// code.
	announcePatience = 10 * time.Second
	// announceAgain is how long it waits before it tries again: a network that was
	// opened just now may have nobody to hand it to.
	announceAgain = 500 * time.Millisecond
)

// announce publishes the identity's contact code, if there is a network: what the
// engine publishes by itself, it has perhaps published when there was none.
func (h *host) announce(ctx context.Context, i *rookery.Identity) error {
	if h.Transport == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, announcePatience)
	defer cancel()
	if err := publishCode(ctx, i); err != nil {
		return fmt.Errorf("contact code: %w: %w", errNotTaken, err)
	}
	return nil
}

// publishCode tries until the network has taken it or ctx ends.
func publishCode(ctx context.Context, i *rookery.Identity) error {
	for {
		taken := make(chan error, 1)
		if err := i.PublishContactCode(ctx, func(err error) { taken <- err }); err != nil {
			return err
		}
		var err error
		select {
		case err = <-taken:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(announceAgain):
		case <-ctx.Done():
			return err
		}
	}
}

// view is a result that is written as a JSON object or as text.
type view interface{ print(w io.Writer) }

// show writes a result.
func (h *host) show(out *output, v view) error {
	if !h.JSON {
		v.print(out.stdout)
		return nil
	}
	return writeJSON(out.stdout, v)
}

// writeJSON writes one object on one line, which can be shown on a terminal, too.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(plainJSON(b.Bytes()))
	return err
}

// stamp is a time of the engine (ns) as results show it, "" for none.
func stamp(ns int64) string {
	if ns == 0 {
		return ""
	}
	return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
}
