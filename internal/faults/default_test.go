//go:build cgo && !race

package faults

// defaultEvery is which share of the points runs if nobody asks for another.
const defaultEvery = 5
