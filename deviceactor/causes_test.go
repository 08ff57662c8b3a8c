package deviceactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
)

func TestCauseOfIsTheNarrowestThatFits(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{ratchet.ErrMAC, "forged"},
		{ratchet.ErrMessageKeyGone, "duplicate"},
		{sessionactor.ErrCloned, "cloned"}, // which is a duplicate too
		{fmt.Errorf("%w: %w", ErrNoTarget, sessionactor.ErrStalePreKey), "stale_prekey"},
		{fmt.Errorf("%w: %w", ErrNotDurable, persistence.ErrFull), "store_full"},
		{fmt.Errorf("%w: %w", ErrNotDurable, errors.New("disk")), "not_durable"},
		{&actors.QuarantinedError{}, "quarantined"},
		{&actors.OverloadedError{Limit: "key"}, "overloaded"},
		{errors.New("something else"), "other"},
	}
	for _, test := range tests {
		if got := CauseOf(test.err).String(); got != test.want {
			t.Errorf("%v: %s, want %s", test.err, got, test.want)
		}
	}
}

func TestRefusalsAreCountedOnceEach(t *testing.T) {
	var r Refusals
	seen := make(map[string]bool)
	all := uint64(0)
	r.Each(func(c Cause, _ uint64) {
		if seen[c.String()] {
			t.Errorf("two causes are called %s", c)
		}
		seen[c.String()] = true
		r.Add(c)
		all++
	})
	r.Each(func(c Cause, n uint64) {
		if n != 1 {
			t.Errorf("%d of %s", n, c)
		}
	})
	if r.Load() != all {
		t.Errorf("%d in all, want %d", r.Load(), all)
	}
}
