// Package memory is a network inside the process that carriers are opened on, for
// tests, simulations and load runs.
//
// It owns the faults: by a seed it loses, delays, duplicates, reorders and corrupts
// messages on their way, turns publishers away, is cut off, and keeps a history that
// forgets, misses and lies. The fate of a message hangs on the seed, the number of
// the message and the number of the carrier alone: the same order of Publish and
// Open gives the same fates, however goroutines run. It does not know what messages
// say.
package memory
