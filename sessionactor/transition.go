package sessionactor

// Transition is one step in the life of a session, as the application is told:
// once for each change that is committed.
type Transition struct {
	Session ID
	To      Lifecycle
	Cause   Cause
}

// Lifecycle is what a Transition leads to.
type Lifecycle string

// The steps in the life of a session. A session that the peer started and that is not used is
// established and expired by one message.
const (
	// BecameEstablished: the first authenticated message of the peer came on it,
	// and it has not expired.
	BecameEstablished Lifecycle = "established"
	// Replaced: it took the place of the session that was used until now. One of
	// our own does so before it is established.
	Replaced Lifecycle = "re-keyed"
	// BecameExpired: it only decrypts from now on.
	BecameExpired Lifecycle = "expired"
	// Deleted: its keys are gone.
	Deleted Lifecycle = "deleted"
)

// Cause is why a session changed.
type Cause string

// The causes of transitions.
const (
	// FirstMessage: an authenticated message of the peer, the first on it.
	FirstMessage Cause = "first message of the peer"
	// NewerBundle: a newer signed prekey of the peer was accepted.
	NewerBundle Cause = "newer bundle of the peer"
	// PeerStartedOver: the peer made a new session later than the one in use.
	PeerStartedOver Cause = "the peer started over"
	// ConcurrentStart: both sides started, and the smaller key wins.
	ConcurrentStart Cause = "concurrent start"
	// MadeEarlier: its first message came after that of a session which was made
	// later.
	MadeEarlier Cause = "made earlier than the session in use"
	// RetentionOver: it was expired for 14 days.
	RetentionOver Cause = "retention over"
	// TooMany: there are more sessions than are kept.
	TooMany Cause = "too many sessions"
)
