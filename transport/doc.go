// Package transport is the port to the network: publish an envelope, subscribe
// to topics.
//
// It owns the Transport interface and the naming of topics. It does not know
// what a ProtocolMessage says, who may read it, or sessions; an implementation
// (transport/memory) carries envelopes at least once, in any order, and hands up
// the identity key of the sender that the envelope proves.
package transport
