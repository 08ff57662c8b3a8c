package actors

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// lockedBuffer takes log lines of many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const plaintext = "meet me at the old mill"

// letter carries a plaintext and panics in several ways.
type letter struct {
	Reply[int]
	Body string
	How  string
}

func (letter) QuarantineID() [32]byte { return [32]byte{0xab, 0xcd} }

func (l letter) explode() error {
	switch l.How {
	case "string":
		panic("cannot handle " + l.Body)
	case "error":
		panic(errors.New(l.Body))
	case "index":
		return []error{}[len(l.Body)]
	default:
		return nil
	}
}

func TestQuarantineRecordsWithoutContent(t *testing.T) {
	tests := []struct{ how, cause string }{
		{"string", "panic with a value of type string"},
		{"error", "panic with a value of type *errors.errorString"},
		{"index", "panic: runtime error: index out of range [23] with length 0"},
	}
	for _, test := range tests {
		t.Run(test.how, func(t *testing.T) {
			var log lockedBuffer
			records := make(chan Quarantined, 1)
			system := newTestSystem(t, Options{
				Logger:       slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				OnQuarantine: func(q Quarantined) { records <- q },
			})
			ref := spawn(t, system, "session", func() Actor {
				return &probe{receive: func(_ *Context, message any) error { return message.(letter).explode() }}
			})
			_, err := Ask(t.Context(), ref, func(r Reply[int]) any {
				return letter{Reply: r, Body: plaintext, How: test.how}
			})
			var refused *QuarantinedError
			if !errors.As(err, &refused) || refused.Actor != "session" || refused.ID != (letter{}).QuarantineID() {
				t.Fatalf("got %v", err)
			}
			q := <-records
			if q.Actor != "session" || q.MessageType != "actors.letter" || q.ID != refused.ID || q.Cause != test.cause {
				t.Errorf("got %+v", q)
			}
			if !strings.Contains(q.Stack, "letter.explode quarantine_test.go:") || strings.Contains(q.Stack, "0x") {
				t.Errorf("stack:\n%s", q.Stack)
			}
			if strings.Contains(q.Cause+q.Stack+err.Error(), plaintext) {
				t.Error("the record holds the plaintext")
			}
			shutdown(t, system)
			if !strings.Contains(log.String(), "message quarantined") || strings.Contains(log.String(), plaintext) {
				t.Errorf("log:\n%s", log.String())
			}
		})
	}
}

// T48: a dead letter, a refused message and a failure show their type only, at
// every level.
func TestLogsShowNoMessage(t *testing.T) {
	var log lockedBuffer
	system := newTestSystem(t, Options{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 8})),
	})
	ref := spawn(t, system, "session", func() Actor {
		return &probe{receive: func(*Context, any) error { return errors.New("commit failed") }}
	})
	ref.Tell(letter{Body: plaintext})
	if err := system.Stop(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	ref.Tell(letter{Body: plaintext})
	ref.Tell(&letter{Body: plaintext})
	shutdown(t, system)
	for _, want := range []string{"message_type=actors.letter", "message_type=*actors.letter", "commit failed"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q", want)
		}
	}
	if strings.Contains(log.String(), plaintext) {
		t.Errorf("log shows the plaintext:\n%s", log.String())
	}
}
