// Package x3dh is the key agreement that starts a session: identity keys,
// signed prekeys, bundles and their signatures, the X3DH agreement of
// 5/SECURE-TRANSPORT and 54/WAKU2-X3DH-SESSIONS, and the single agreement for
// peers whose bundle is not known yet (DH-only).
//
// It is pure: bytes, keys, the time and randomness come as arguments. It owns
// which bundles may be believed (CheckBundle); it does not know which bundle is
// newer than another, what a session is, the ratchet, storage or actors.
//
// Keys have one type per role: a signed prekey cannot be given where an
// identity key is wanted. Private keys redact themselves when printed.
// All functions are safe for concurrent use; values are not while wiped.
package x3dh
