// Package keypool makes secp256k1 key pairs ahead in idle time, so that the
// path of a message finds them ready: a ratchet step, an X3DH ephemeral and a
// signed prekey each need a fresh pair, and making it is most of a step's cost
// that does not depend on the message.
//
// It owns which of these pairs exist, that each is given once, and that what is
// not used is wiped. It does not know what a pair is for, and it does not decide
// when there is time: who has some calls MakeKey. Long-term identity keys are
// not for it.
package keypool
