// Package wire is the wire format of the secure channel: the ProtocolMessage of
// 5/SECURE-TRANSPORT (its sections on bundles, the initial message and the
// headers) with the field numbers that deployed clients use.
//
// It owns the Go types of a message, their deterministic encoding, and a strict
// decoder with limits that refuses before it allocates. It knows nothing of
// keys, signatures, sessions or envelopes: a decoded message has the right
// shape, and nothing in it is to be trusted yet.
//
// The functions keep no state and may be called from any goroutine.
package wire
