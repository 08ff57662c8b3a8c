// Package bundleactor is one hosted installation's own signed prekeys: their
// rotation, the signed bundle made of them, when it is published, and the actor
// that owns all this.
//
// Pure part: State with its step Renew, which decides what is due and does it,
// and AnnounceDue. Load and State.Records are its way from and to the store. A
// host without actors uses these alone: Load, then for each request Renew,
// commit the Records if the change is not empty, and show Published. Shell:
// Actor does the same with commits that run beside it, and answers with the
// bundle to send or the private prekey that an initial message names.
//
// # Time
//
// Peers accept a bundle only if it is signed later than the last one they have
// of us, and at most a day ahead of their own clock. So timestamps only grow,
// and a clock that jumps is not believed before it has run on for a day; see
// State.Renew. What is wrong with the clock is told by ErrClock and by
// Published.Doubted.
//
// The package does not know contacts, sessions or the network; which other
// installations of ours are enabled it is told, and to publish it calls
// Config.Publish.
package bundleactor
