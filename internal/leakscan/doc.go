// Package leakscan finds secrets where none may be: in logs, events, measurements,
// printed values and the memory of a process.
//
// It owns what a test does for that: a Scanner that is told the secrets of the test,
// reads every line that is logged, and reports each in which a secret stands, in
// whatever encoding; a Book that learns from the records of a store which keys there
// are, and derives those in between; and Needles that find keys in bytes.
//
// It does not know what makes the secrets or the lines. Only tests use it.
package leakscan
