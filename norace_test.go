//go:build !race

package rookery_test

// raced: these tests were built with the race detector.
const raced = false
