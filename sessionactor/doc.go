// Package sessionactor is one peer installation: its Double Ratchet sessions,
// the rules that choose between them, and the actor that owns them.
//
// Pure part: Session, Sessions and their steps Send, Decrypt, Sweep and Delete
// implement 54/WAKU2-X3DH-SESSIONS (initialisation, concurrent sessions,
// re-keying) on top of x3dh and ratchet; time and randomness are arguments. Each
// step gives a Change, which Place.Records turns into what has to be committed
// and Sessions.Apply merges. Which of two sessions is used: precedence.go and
// docs/adr/0009.
//
// Shell: Actor holds the Sessions of one installation, loads them on its first
// message and hands each result with its records to its parent, the contact,
// which commits them (docs/adr/0003). It never emits anything itself.
//
// The package knows nothing of other installations, of bundles beyond one
// accepted Entry, of the network or of the application.
package sessionactor
