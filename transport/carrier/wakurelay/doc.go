// Package wakurelay is a carrier.Carrier that is itself a relay peer of a Waku
// network: it needs no node of its own (11/WAKU2-RELAY, 66/WAKU2-METADATA).
//
// It owns the peer: its connections, the mesh of its shards, and what becomes of
// peers that misbehave. All messages of a shard come in; content topics are only a
// filter behind it. It does not know what the payloads are, and keeps no history:
// that is another source's, see Options.History.
//
// A peer reaches nobody and nothing that it was not told of. It listens on loopback
// and dials only the addresses it was given: there is no discovery, no mapping of
// ports and no relaying of connections, and the only transport is TCP with Noise and
// yamux. A name is looked up only if it was given in place of an address.
//
// libp2p is silenced for the whole process as soon as a carrier is opened, unless
// the environment variable GOLOG_LOG_LEVEL says what it is to log.
package wakurelay
