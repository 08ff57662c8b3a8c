package embedded

import (
	"fmt"
	"log/slog"
)

// logger hands on what a server says. Nothing that it says ends the process.
type logger struct {
	to *slog.Logger
	// fatal takes the first thing that it does not start for.
	fatal chan string
}

func (l logger) Noticef(format string, v ...any) { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l logger) Warnf(format string, v ...any)   { l.to.Warn(fmt.Sprintf(format, v...)) }
func (l logger) Errorf(format string, v ...any)  { l.to.Error(fmt.Sprintf(format, v...)) }

// Fatalf is for what a server does not go on after.
func (l logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.to.Error(text)
	select {
	case l.fatal <- text:
	default:
	}
}

// Debugf and Tracef are switched off: a trace has messages in it.

func (l logger) Debugf(string, ...any) {}
func (l logger) Tracef(string, ...any) {}
