package ratchet

import (
	"errors"
	"fmt"
)

// The causes of a refusal. Every one leaves the state as it was.
var (
	// ErrMAC: the message is not authentic for this session. Forged, altered,
	// or made under another state.
	ErrMAC = errors.New("ratchet: message authentication failed")
	// ErrMessageKeyGone: the key of this message was used or deleted already:
	// a duplicate, or a message later than the limits allow.
	ErrMessageKeyGone = errors.New("ratchet: message key already used or deleted")
	// ErrTooManySkipped: the message skips more message keys than allowed; the
	// error is a *GapError.
	ErrTooManySkipped = errors.New("ratchet: too many skipped messages")
	// ErrUnknownRatchetKey: the header's ratchet key is neither the current one
	// nor can it be the next one, since we have not answered the current one.
	ErrUnknownRatchetKey = errors.New("ratchet: unknown ratchet key")
	// ErrCiphertext: the ciphertext is too short to hold an IV and a MAC.
	ErrCiphertext = errors.New("ratchet: ciphertext too short")
	// ErrHeader: the header holds no valid ratchet key or an impossible number.
	ErrHeader = errors.New("ratchet: malformed header")
	// ErrChainExhausted: the sending chain has used its last number.
	ErrChainExhausted = errors.New("ratchet: sending chain exhausted")
	// ErrSuite: the cipher suite is unknown.
	ErrSuite = errors.New("ratchet: unknown cipher suite")
	// ErrState: a stored state is not one this package can have made.
	ErrState = errors.New("ratchet: malformed state")
)

// GapError says which gap was refused.
type GapError struct {
	Previous  bool   // the gap is in the previous chain (PN), not in the message's own (N)
	Have      uint32 // number of the next message the chain expects
	Want      uint32 // number the header asks the chain to go to
	Permitted uint32 // the limit on Want-Have
}

// Error implements error.
func (e *GapError) Error() string {
	chain := "current"
	if e.Previous {
		chain = "previous"
	}
	return fmt.Sprintf("%v: %s chain from %d to %d, at most %d", ErrTooManySkipped, chain, e.Have, e.Want, e.Permitted)
}

// Is makes errors.Is(err, ErrTooManySkipped) hold.
func (e *GapError) Is(target error) bool { return target == ErrTooManySkipped }
