// Package waku is what travels through a Waku network: the message of
// 14/WAKU2-MESSAGE with its hashes, and the SegmentMessage that deployed clients
// cut long contents into, with the field numbers that they use.
//
// It owns the Go types of both, their deterministic encoding, and a strict
// decoder with limits. It knows nothing of keys, envelopes, topics' names or
// nodes, and not which segments belong together: a decoded value has the right
// shape, and nothing in it is to be trusted yet.
//
// The functions keep no state and may be called from any goroutine.
package waku
