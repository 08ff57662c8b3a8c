// Package memory is a persistence.Store that lives and ends with the process.
// Simulations and tests run on it, and embedders that want nothing on disk.
//
// It promises what every store promises except that records outlast Close, and
// it knows nothing of what they hold.
package memory
