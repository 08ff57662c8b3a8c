package deviceactor

import (
	"errors"
	"sync/atomic"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// Cause is what a message was refused for, of a set that is fixed, so that refusals
// can be counted. An error says more.
type Cause int

// The causes of what a contact never hears of.
const (
	CauseMalformed Cause = iota // a received message that cannot be decoded
	CausePayload                // a payload to send that is empty or too long
)

// CauseOther is that of all errors that have none of their own.
const CauseOther = Cause(-1)

// causes are the errors in the order in which they are looked for: some are another
// one too.
var causes = [...]struct {
	name string
	err  error
}{
	CauseMalformed: {"malformed", nil},
	CausePayload:   {"payload_size", nil},

	{"quarantined", actors.ErrQuarantined},
	{"overloaded", actors.ErrOverloaded},
	{"store_full", persistence.ErrFull},
	{"not_durable", ErrNotDurable},
	{"stopped", actors.ErrStopped},
	{"unavailable", sessionactor.ErrUnavailable},

	{"cloned", sessionactor.ErrCloned}, // before duplicate
	{"duplicate", ratchet.ErrMessageKeyGone},
	{"replayed", ErrReplayed},
	{"unknown_ratchet_key", ratchet.ErrUnknownRatchetKey},
	{"too_many_skipped", ratchet.ErrTooManySkipped},
	{"no_session", sessionactor.ErrNoSession},
	{"unknown_prekey", sessionactor.ErrUnknownPreKey},
	{"too_many_sessions", sessionactor.ErrTooManySessions},
	{"headers", sessionactor.ErrHeader},
	{"forged", ratchet.ErrMAC},

	{"public_key", x3dh.ErrKey},
	{"untrusted_bundle", x3dh.ErrUntrustedBundle},
	{"not_targeted", ErrNotTargeted},
	{"denied", ErrDenied},
	{"blocked", ErrBlocked},
	{"not_approved", ErrNotApproved},
	{"unsupported", ErrUnsupported},
	{"too_many_installations", ErrTooManyInstallations},

	{"stale_prekey", sessionactor.ErrStalePreKey}, // before no_target, which joins it
	{"no_target", ErrNoTarget},
	{"retired", ErrRetired},
}

// CauseOf finds the cause of a refusal.
func CauseOf(err error) Cause {
	for c := range causes {
		if is := causes[c].err; is != nil && errors.Is(err, is) {
			return Cause(c)
		}
	}
	return CauseOther
}

// String is the cause in lower case with underscores.
func (c Cause) String() string {
	if c < 0 || int(c) >= len(causes) {
		return "other"
	}
	return causes[c].name
}

// Refusals are counted by their causes. The zero value is ready. Safe for concurrent
// use.
type Refusals struct {
	by    [len(causes)]atomic.Uint64
	other atomic.Uint64
}

// Add counts one.
func (r *Refusals) Add(c Cause) {
	if c < 0 || int(c) >= len(causes) {
		r.other.Add(1)
		return
	}
	r.by[c].Add(1)
}

// Load gives how many there were.
func (r *Refusals) Load() uint64 {
	n := r.other.Load()
	for c := range r.by {
		n += r.by[c].Load()
	}
	return n
}

// Each calls show for each cause that there is, also for those without a refusal.
func (r *Refusals) Each(show func(Cause, uint64)) {
	for c := range r.by {
		show(Cause(c), r.by[c].Load())
	}
	show(CauseOther, r.other.Load())
}
