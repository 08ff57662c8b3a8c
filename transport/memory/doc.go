// Package memory is a network inside the process, for the demo, tests and load
// runs. It loses, duplicates and reorders envelopes by a seed when told to, and
// keeps what it lost, and what a subscriber did not take, until Redeliver is
// called, as a real network's history would.
//
// It owns nothing but envelopes on their way; it does not verify senders, since
// everybody in the process is trusted to name its own.
package memory
