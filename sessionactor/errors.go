package sessionactor

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/ratchet"
)

// The causes a session refuses a message for, beside those of ratchet. Every
// one leaves all sessions as they were.
var (
	// ErrNoSession: no session of the prekey that the message names.
	ErrNoSession = errors.New("sessionactor: no session for this message")
	// ErrUnknownPreKey: the message starts a session with a signed prekey that
	// is not ours or no longer kept.
	ErrUnknownPreKey = errors.New("sessionactor: unknown signed prekey")
	// ErrNoPreKey: nothing to start a session with is known of the peer.
	ErrNoPreKey = errors.New("sessionactor: no signed prekey of the peer known")
	// ErrStalePreKey: the newest signed prekey known of the peer is older than
	// its owner keeps them; a session made from it could not be read.
	ErrStalePreKey = errors.New("sessionactor: signed prekey of the peer is too old")
	// ErrUnavailable: the state could not be read. Nothing is known of the
	// message; it can be tried again.
	ErrUnavailable = errors.New("sessionactor: state not available")
	// ErrCloned: another message with the number of one that was decrypted: two
	// copies of the peer's installation are at work (T42). It is
	// ratchet.ErrMessageKeyGone too.
	ErrCloned = fmt.Errorf("sessionactor: two messages with one number: %w", ratchet.ErrMessageKeyGone)
	// ErrTooManySessions: the peer has started more sessions than can be told
	// apart from replays; when our signed prekeys that they rest on are gone it
	// can start one again.
	ErrTooManySessions = errors.New("sessionactor: too many sessions")
	// ErrHeader: the headers of a message contradict each other.
	ErrHeader = errors.New("sessionactor: malformed message headers")
)
