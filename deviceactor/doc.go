// Package deviceactor is one contact: its installations, which of them a
// message goes to, and the actor that turns one payload into one message for
// all of them, and one received message into at most one payload for us.
//
// Pure part: Contact and its steps: Read and Receive for what arrives, Draft and
// Assemble for what is sent, TakeBundle, Enable, Accept, Block and Age for the rest
// (5/SECURE-TRANSPORT, Multi-Device Support). Shell: Actor is the
// parent of the contact's session actors. It gives out their work, gathers
// their answers, and commits in the order in which it gave out the work
// (docs/adr/0003); only then does it publish, deliver or answer. Host is the hosted
// installation as its contacts see it.
//
// The package does not know ratchets or keys (sessionactor does), how bundles
// of ours are made (bundleactor does), other contacts, or what a payload says.
package deviceactor
