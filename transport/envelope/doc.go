// Package envelope is version 1 of 26/WAKU2-PAYLOAD as deployed: data is padded,
// signed by the sender's identity and encrypted, under a symmetric key or for a
// recipient's identity.
//
// It owns the format inside and outside, and who is said to have signed. It does
// not know which key belongs to which topic, what the data says, or the message
// that carries an envelope; who knows a topic's name can open what is symmetric
// there. The package is pure: randomness is an argument, and nothing is kept.
//
// Inside stands flags | length | data | padding | signature. The signature does
// not name its signer: the key that it was made with is computed from it, so
// that a changed envelope is not refused but has another signer, whom nobody
// knows. Whoever opens an envelope has to treat the signer as what it is, a
// stranger until proven otherwise.
//
// All functions may be called from any goroutine.
package envelope
