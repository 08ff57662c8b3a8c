package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// output is what a command reads, and where it writes: results to stdout, progress to
// stderr.
type output struct {
	stdin    io.Reader
	stdout   io.Writer
	progress *progress
}

// field writes one named line of a result.
func field(w io.Writer, name, format string, args ...any) {
	_, _ = fmt.Fprintf(w, "  %-22s %s\n", name, fmt.Sprintf(format, args...))
}

// progress shows how a long command gets on: one line that is rewritten on a
// terminal, a line now and then elsewhere.
type progress struct {
	to       io.Writer
	terminal bool
}

// plainEvery is how often a line is written where it cannot be rewritten.
const plainEvery = 2 * time.Second

func newProgress(f *os.File) *progress {
	return &progress{to: f, terminal: isTerminal(f)}
}

// plain has lines written one after the other, also on a terminal.
func (p *progress) plain(wanted bool) { p.terminal = p.terminal && !wanted }

// every writes what line says until stop is called.
func (p *progress) every(interval time.Duration, line func() string) (stop func()) {
	if !p.terminal {
		interval = plainEvery
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				p.write(line())
			case <-done:
				p.write(line())
				if p.terminal {
					_, _ = fmt.Fprintln(p.to)
				}
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (p *progress) write(line string) {
	if p.terminal {
		_, _ = fmt.Fprintf(p.to, "\r\x1b[K%s", line)
		return
	}
	_, _ = fmt.Fprintln(p.to, line)
}
