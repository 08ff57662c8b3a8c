package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// What the showcase prints has the same form in every run.
func TestShowcaseTellsEveryStep(t *testing.T) {
	var out bytes.Buffer
	if err := showcase(t.Context(), &out); err != nil {
		t.Fatalf("%v, after:\n%s", err, out.String())
	}
	var steps []string
	for line := range strings.Lines(out.String()) {
		if step, indented := strings.CutPrefix(line, "  "); indented {
			line, _, _ = strings.Cut(step, "  ")
		}
		steps = append(steps, strings.TrimSpace(line))
	}
	want := []string{
		"second device:", "discovered", "approved", "messages", "copies",
		"re-key after 24 hours:", "the clock", "alice re-keys", "bob follows", "settled",
		"recovery of a lost device:", "lost", "refused", "answered", "recovered",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q, want %q", steps, want)
	}
}

// A scene whose world is broken must not come out well.
func TestScenesFailInABrokenWorld(t *testing.T) {
	for _, test := range []struct {
		name   string
		play   func(*stage) error
		loses  func(transport.Envelope) bool
		at     string // the last step told
		reason string
	}{
		{
			"contact codes are lost", playSecondDevice,
			func(e transport.Envelope) bool { return e.Topic == transport.ContactCodeTopic(e.Sender) },
			"", "one device hears of the other",
		},
		{"copies are lost", playSecondDevice, toOurselves, "messages", "copy for our own other device"},
		{
			"24 hours do not pass", func(s *stage) error { return playReKey(s, time.Hour) },
			func(transport.Envelope) bool { return false },
			"the clock", "started 0 new sessions",
		},
		{"the answer to what cannot be read is lost", playRecovery, advertises, "refused", "alice hears of bob's new installation"},
		{
			"what cannot be read does not arrive", playRecovery, afterTheGreetings(),
			"lost", "what bob cannot read is refused",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			last := ""
			s, err := newStage(t.Context(), func(name, _ string, _ ...any) { last = name })
			if err != nil {
				t.Fatal(err)
			}
			whole := s.patience
			s.patience = func(what string) time.Duration {
				if strings.Contains(what, test.reason) { // which will not happen
					return 500 * time.Millisecond
				}
				return whole(what)
			}
			s.network = losing{s.network, test.loses}
			err = scene{test.name, test.play}.on(s)
			if !errors.Is(err, errBadResult) || !strings.Contains(fmt.Sprint(err), test.reason) || last != test.at {
				t.Errorf("after %q: %v", last, err)
			}
		})
	}
}

// advertises tells whether an envelope carries nothing but a bundle for whoever
// reads it.
func advertises(e transport.Envelope) bool {
	m, err := wire.Decode(e.Payload)
	return err == nil && len(m.Entries) == 1 && m.Entries[0].Recipient == wire.NoInstallation
}

// afterTheGreetings loses everything but the first two messages.
func afterTheGreetings() func(transport.Envelope) bool {
	var messages atomic.Int64
	return func(e transport.Envelope) bool {
		return e.Topic != transport.ContactCodeTopic(e.Sender) && messages.Add(1) > 2
	}
}

// A device must have the copies it should have, and no other.
func TestOneCopyTooManyIsSeen(t *testing.T) {
	s, err := newStage(t.Context(), func(string, string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	alice, bob, err := pairOn(s)
	if err != nil {
		t.Fatal(err)
	}
	for n, id := range []rookery.MessageID{{1}, {2}} {
		s.handle(rookery.SentElsewhere{Message: rookery.Message{Identity: bob, ID: id}, Recipient: alice.PublicKey()})
		count, err := awaitCopies(s, alice.PublicKey(), map[*rookery.Identity]rookery.MessageID{bob: {1}})
		if (n == 0) != (err == nil && count == 1) {
			t.Errorf("with %d copies: %d, %v", n+1, count, err)
		}
	}
	if err := s.strike(); err != nil {
		t.Error(err)
	}
}
