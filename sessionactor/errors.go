package sessionactor

import "errors"

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
	// ErrUnavailable: the state could not be read. Nothing is known of the
	// message; it can be tried again.
	ErrUnavailable = errors.New("sessionactor: state not available")
	// ErrHeader: the headers of a message contradict each other.
	ErrHeader = errors.New("sessionactor: malformed message headers")
)
