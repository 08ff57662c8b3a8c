package deviceactor

import "sync/atomic"

// Counters are what the contacts of an engine have done. All of them count up.
type Counters struct {
	Sent            atomic.Uint64 // messages made durable for sending
	Copies          atomic.Uint64 // messages made durable for our own other installations
	Received        atomic.Uint64 // messages decrypted and durable
	Refused         Refusals      // received messages that changed nothing
	Unsent          atomic.Uint64 // messages dropped that no network has taken
	Verified        atomic.Uint64 // bundles of contacts that were verified on the curve
	SessionsStarted atomic.Uint64 // ratchet sessions made, by either side
	RatchetSteps    atomic.Uint64 // halves of DH ratchet steps made
	Taken           atomic.Uint64 // messages and copies that the transport has taken
	Advertised      atomic.Uint64 // times our bundle was sent to who has written what we could not read
	NotTaken        atomic.Uint64 // attempts to publish one that it has refused
}
