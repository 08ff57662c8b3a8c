// Package carrier is the port to a network that exists: it carries sealed bytes
// on content topics, keeps a history of them for a while, and tells how it is.
//
// It owns the Carrier interface and what its implementations have in common. It
// does not know what the bytes are, whose they are or who may read them; that is
// transport/courier's, which makes a transport.Transport of a Carrier.
//
// Implementations: carrier/memory for tests, carrier/wakurelay (a peer of a Waku
// network), carrier/wakurest (a Waku node over its REST interface) and
// carrier/jetstream (NATS). All pass carrier/carriertest.
package carrier
