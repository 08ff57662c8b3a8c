// Package rookery hosts thousands of end-to-end-encrypted identities in one
// process: 5/SECURE-TRANSPORT and 54/WAKU2-X3DH-SESSIONS (X3DH prekey bundles,
// Double Ratchet, multi-device), on the wire as the deployed clients speak it.
// Payloads are opaque to it.
//
// # Begin
//
// Open an Engine on a directory and a network, create identities or get the ones
// it has, send, and handle events:
//
//	engine, err := rookery.Open(ctx, rookery.Options{Dir: dir, Unlock: rookery.KeyFile(file), Carrier: network, Handler: handle})
//	alice, err := engine.CreateIdentity(ctx, rookery.NewIdentity{Name: "alice"})
//	receipt, err := alice.Send(ctx, bob, payload)
//	...
//	err = engine.Close(ctx)
//
// Options says what else can be set; nothing else has to be. A network is a
// carrier.Carrier (wakurelay, wakurest, jetstream) that carries bytes on topics, or
// a transport.Transport that knows identities (transport/memory, or one of your own).
//
// # Identities and contacts
//
// An Identity is one installation, one device, of an identity that is hosted here.
// Engine.CreateIdentity makes a new one, or takes a key or a BIP-39 phrase;
// Engine.Identities are there after every Open; Engine.DeleteIdentity ends one.
//
// A contact is a PublicKey, and that is all it takes to write to it. Its bundle, by
// which the first message has forward secrecy, is looked for on the network
// (Identity.AddContact, Identity.Follow), or comes by hand (Identity.TakeContactCode,
// Identity.TakeBundle). What is known of contacts and their installations tell
// Identity.Contact and Identity.Contacts; Identity.Accept, Deny, Block, Approve and
// Disable decide about them.
//
// # Sending
//
// Identity.Send is durable when it returns: the message is published, and published
// again after a crash, until the network has taken it (Identity.AwaitTaken) or
// Options.KeepUnsent is over (Unsent). Identity.SendOnce does so once under a key,
// however often it is called, Identity.SendGroup for many members.
// Identity.SendPublic writes in a public chat, unencrypted. Identity.Direct encrypts
// and leaves it to the caller to carry the message.
//
// # Events
//
// What happens comes as an Event, to Options.Handler, which is called, or to the
// loops of Engine.Events, which ask. Delivery is at least once: a Message is reported
// after its decryption is durable, and again after a restart until Message.Ack, each
// time under the same Message.ID. Events of one identity come one after the other.
// docs/events.md says of each what causes it and what to do.
//
// # Contexts
//
// What may wait, for the disk, for others or for the network, takes a context, and gives
// its error when that ends first. What takes none waits for nothing: Identity.Follow,
// Join and Leave tell the transport, which asks the network later.
//
// # Errors
//
// Errors of this package are about a call itself; what contacts, network and store
// have against it is in package cause, for errors.Is. An error of Send means that no
// ciphertext left the process, except for that of its context and
// cause.ErrNotDurable: then the message may still be sent. A received message that
// is refused changes nothing and is a Refused event. docs/errors.md says of each what
// to do.
//
// # What holds
//
// docs/guarantees.md says what is guaranteed when a call returns, and which test
// proves it. Engine, Identity and Direct are safe for concurrent use. Times are
// nanoseconds since the epoch unless they are time.Time. Nothing that is printed or
// logged shows a key or a payload.
package rookery
