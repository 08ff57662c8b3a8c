// Package bundleactor is one hosted installation's own signed prekeys: their
// rotation, the signed bundle made of them, and the actor that owns both.
//
// Pure part: PreKeys with its steps Rotate and Bundle. Shell: Actor commits
// what a step changed and answers with the bundle to send or the private prekey
// that an initial message names.
//
// The package does not know contacts, sessions or the network; which other
// installations of ours are enabled it is told.
package bundleactor
