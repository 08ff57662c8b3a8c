// Package segment cuts what is too long for one envelope into segments, and puts
// them together again, as deployed: Reed-Solomon parity segments stand in for
// lost ones, and the hash of the whole says whether the result is right.
//
// It owns the cutting, the coding and the bounded memory of unfinished wholes.
// It does not know envelopes, the network, or what the content says; the signer
// of a segment and the time are arguments. Nothing here is durable: what was not
// complete when the process ended has to be sent again.
//
// Cutting happens below encryption: a whole is an encoded ProtocolMessage, and
// each segment travels in an envelope of its own.
package segment
