// Package rookery hosts thousands of end-to-end-encrypted identities in one
// process: 5/SECURE-TRANSPORT and 54/WAKU2-X3DH-SESSIONS (X3DH prekey bundles,
// Double Ratchet, multi-device), on the wire as the deployed clients speak it.
//
// # What to call
//
// Open an Engine on a directory and a transport, create identities or get the
// ones it has, send, and handle events:
//
//	engine, err := rookery.Open(ctx, rookery.Options{Dir: dir, Unlock: rookery.KeyFile(file), Transport: network, Handler: handle})
//	alice, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
//	receipt, err := alice.Send(ctx, bob, payload)
//
// # What holds
//
// When Send returns a receipt, the message is durable: it is published, and
// published again after a crash until the transport has taken it. A message is
// reported to the handler after its decryption is durable, and again after a
// restart until it is acknowledged; Message.ID is the same each time. Delivery
// is at least once.
//
// An error of Send means that no ciphertext left the process, except for that
// of its context: then the message may still be sent. A received message that
// is refused changes nothing and is reported as Refused with its cause.
//
// Engine and Identity are safe for concurrent use. Times are nanoseconds since
// the epoch unless they are time.Time.
package rookery
