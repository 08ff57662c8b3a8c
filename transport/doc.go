// Package transport is the port to the network: publish an envelope, subscribe
// to topics.
//
// It owns the Transport interface, and the topics: their names, and taking them
// apart. It does not know what a ProtocolMessage says, who may read it, or
// sessions; an implementation (transport/memory, transport/courier) carries
// envelopes at least once, in any order, and hands up the identity key of the
// sender that the envelope proves.
package transport
