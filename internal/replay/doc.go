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
// Transcripts are run twice. The first pass drives x3dh and ratchet directly:
// which installations are addressed and which session is used come from the
// recording, and every recorded value is compared. The second (type hosted)
// gives the same steps to internal/installation, with the recorded keys as its
// randomness: there our session, device and bundle rules choose, and where they
// choose otherwise than the reference did a Rule or a Deviation is named, again
// only when its cause was seen. See docs/conformance.md for what is checked and
// what is not.
//
// Transport vectors go through the packages below a transport: envelopes, topics,
// segments and Waku messages, both ways; a conversation of deployed clients goes
// through all of them, and where its secrets suffice through x3dh and ratchet. Which
// topic a message goes to, and what is listened to, says the product itself: a
// deviceactor.Contact that has read what the recording says was read, and a courier
// over a network that only notes what is asked of it (type client).
// They carry no schema and are told by their fields; what is not understood in
// them is refused.
//
// It does not know actors, or any network.
//
// Nothing here is safe for concurrent use except File, Data and the lists of
// deviations and rules.
package replay
