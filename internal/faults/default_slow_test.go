//go:build !cgo || race

package faults

// defaultEvery is larger where computing takes several times as long: without C,
// and under the race detector.
const defaultEvery = 40
