// Package ratchet is the Double Ratchet of 5/SECURE-TRANSPORT as pure values.
//
// It owns the root, sending and receiving chains, the message keys, the
// message header and the authenticated encryption of one message, for the two
// cipher suites the engine speaks (Secp256k1, as deployed, and Curve25519, as
// the specification says). It does not know identities, installations,
// bundles, the wire encoding, time, storage or actors.
//
// A State is a value: State.Encrypt and State.Decrypt return the next state
// and leave the one they were called on as it was. Whoever holds the state
// makes the next one durable before a ciphertext or a plaintext leaves the
// process; until then the old one is what counts. On any error the old state
// stays the right one and nothing has to be undone.
//
// Keys of messages that have not arrived yet are not part of the State. They
// come as Effects, which the holder stores one record each and merges into its
// Skipped set after the commit.
//
// One difference from the deployed reference that the wire does not show: the
// next sending ratchet key pair is made when it is first needed to send, not
// while decrypting (DEVIATIONS.md, D-lazy-ratchet).
//
// No function of this package is safe for concurrent use of the same value.
package ratchet
