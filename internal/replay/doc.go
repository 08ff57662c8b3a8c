// Package replay runs recordings made with the deployed reference through this
// project's own protocol core and says, step by step, what is the same and
// what is not.
//
// It owns the format of the recordings, a driver that gives the core the
// recorded keys, nonces and clock, and the list of deviations (Deviations)
// that it accepts as an explanation. A difference is explained only when the
// driver has itself seen the cause of it: beside the node that is being
// checked it keeps a model of what the reference is known to do differently
// (type reference), and a recorded value that is not ours has to be the one the
// model foretells. Everything else is a difference.
//
// It does not know the engine: no actors, no storage, no transport. Which
// installations are addressed and which session is used come from the
// recording; see docs/conformance.md for what is checked and what is not.
//
// Nothing here is safe for concurrent use except File and the deviations.
package replay
