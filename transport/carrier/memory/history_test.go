package memory

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// asked is what the history of the topic has from a place on.
func asked(t *testing.T, c *Carrier, since int64) []carrier.Received {
	t.Helper()
	var found []carrier.Received
	err := c.History(t.Context(), []carrier.Topic{topic}, since, 1<<62, func(r carrier.Received) error {
		found = append(found, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestHistoryForgetsWhatIsTooMuch(t *testing.T) {
	n := New(Options{History: History{Count: 150}})
	c, _ := open(t, n)
	publish(t, c, 0, 400)
	found := asked(t, c, 0)
	if len(found) != 150 || string(found[0].Payload) != string(message(250).Payload) {
		t.Errorf("%d messages", len(found))
	}
}

func TestHistoryForgetsWhatIsTooOld(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	n := New(Options{History: History{Age: time.Minute}, Now: func() time.Time { return time.Unix(0, now.Load()) }})
	c, _ := open(t, n)
	publish(t, c, 0, 10)
	now.Add(int64(40 * time.Second))
	publish(t, c, 10, 15)
	for _, step := range []struct {
		later time.Duration
		want  int
	}{{0, 15}, {19 * time.Second, 15}, {2 * time.Second, 5}, {time.Minute, 0}} {
		now.Add(int64(step.later))
		if found := asked(t, c, 0); len(found) != step.want {
			t.Errorf("%d messages, want %d", len(found), step.want)
		}
	}
}

// Places are those of the network's clock, and ascend when it stands still.
func TestPlacesFollowTheClockOfTheNetwork(t *testing.T) {
	n := New(Options{Now: func() time.Time { return time.Unix(1000, 0) }})
	c, _ := open(t, n)
	publish(t, c, 0, 5)
	for i, r := range asked(t, c, 0) {
		if want := time.Unix(1000, 0).UnixNano() + int64(i); r.At != want {
			t.Errorf("message %d is at %d, want %d", i, r.At, want)
		}
	}
}

func TestHistoryIsWrongAsOftenAsTold(t *testing.T) {
	const count = 1000
	start := time.Now().UnixNano()
	n := New(Options{Seed: 4, History: History{Misses: 0.1, Lies: 0.2, Corrupt: 0.3}, Now: func() time.Time { return time.Unix(0, start) }})
	c, _ := open(t, n)
	publish(t, c, 0, count)
	for range 2 { // asked again, it is as wrong as before
		lies, corrupted := 0, 0
		found := asked(t, c, 0)
		for _, r := range found {
			if off := time.Duration(r.At - start); off < 0 || off >= count {
				lies++
				if off < -time.Hour || off > 2*time.Hour {
					t.Errorf("a lie of %s", off)
				}
			}
			if m := message(int(r.Time) - 1); m.Hash() != r.Hash() {
				corrupted++
			}
		}
		for name, share := range map[string][2]float64{
			"missed": {float64(count-len(found)) / count, 0.1}, "lies": {float64(lies) / count, 0.18}, "corrupted": {float64(corrupted) / count, 0.27},
		} {
			if share[0] < share[1]-0.05 || share[0] > share[1]+0.05 {
				t.Errorf("%s: %.2f, want about %.2f", name, share[0], share[1])
			}
		}
	}
}

func TestHistoryFailsOnceAtAMessage(t *testing.T) {
	n := New(Options{Seed: 1, History: History{Fails: 0.05}})
	c, _ := open(t, n)
	publish(t, c, 0, 300)
	failures, found := 0, 0
	for {
		found = 0
		err := c.History(t.Context(), []carrier.Topic{topic}, 0, 1<<62, func(carrier.Received) error {
			found++
			return nil
		})
		if err == nil {
			break
		}
		if failures++; !errors.Is(err, carrier.ErrUnreachable) || failures > 60 {
			t.Fatalf("failure %d: %v", failures, err)
		}
	}
	if failures < 2 || found != 300 {
		t.Errorf("%d failures, then %d messages", failures, found)
	}
}

func TestEndedCarrierGivesNoHistory(t *testing.T) {
	n := New(Options{})
	c, _ := open(t, n)
	publish(t, c, 0, 300)
	calls := 0
	err := c.History(context.Background(), []carrier.Topic{topic}, 0, 1<<62, func(carrier.Received) error {
		if calls++; calls == 5 {
			return c.Close()
		}
		return nil
	})
	if !errors.Is(err, carrier.ErrClosed) || calls != 5 {
		t.Errorf("%d messages, then %v", calls, err)
	}
}
