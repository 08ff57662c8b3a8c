package leakscan

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
)

// Logger is a logger for all levels of which every line is looked at. What it logs
// goes to next as well, unless that is nil.
func (s *Scanner) Logger(next slog.Handler) *slog.Logger {
	if next == nil {
		next = slog.DiscardHandler
	}
	return slog.New(&handler{scanner: s, next: next})
}

// handler shows each record as text, as JSON and as Go shows its values.
type handler struct {
	scanner *Scanner
	next    slog.Handler
	steps   []func(slog.Handler) slog.Handler // WithAttrs and WithGroup, in order
	given   []slog.Attr
}

// Enabled implements slog.Handler: all levels are looked at.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	out := buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // nothing else is in it
	defer buffers.Put(out)
	everything := &slog.HandlerOptions{Level: slog.Level(math.MinInt)}
	for where, render := range map[string]slog.Handler{
		"a line of the log":         slog.NewTextHandler(out, everything),
		"a line of the log in JSON": slog.NewJSONHandler(out, everything),
	} {
		out.Reset()
		for _, step := range h.steps {
			render = step(render)
		}
		if err := render.Handle(ctx, r); err != nil {
			return err
		}
		h.scanner.Line(where, out.String())
	}
	deep := func(a slog.Attr) bool {
		if a.Value.Kind() == slog.KindAny {
			h.scanner.Line("a logged value", fmt.Sprintf("%s %s=%+v %#v", r.Message, a.Key, a.Value.Any(), a.Value.Any()))
		}
		return true
	}
	for _, a := range h.given {
		deep(a)
	}
	r.Attrs(deep)
	if h.next.Enabled(ctx, r.Level) {
		return h.next.Handle(ctx, r)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{
		scanner: h.scanner, next: h.next.WithAttrs(attrs), given: append(slices.Clip(h.given), attrs...),
		steps: append(slices.Clip(h.steps), func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) }),
	}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{
		scanner: h.scanner, next: h.next.WithGroup(name), given: h.given,
		steps: append(slices.Clip(h.steps), func(next slog.Handler) slog.Handler { return next.WithGroup(name) }),
	}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
