//go:build !cgo || race

package sim

// defaultSeeds is lower where computing takes several times as long: without C,
// and under the race detector.
const defaultSeeds = 200
