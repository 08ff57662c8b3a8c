//go:build race

package leakscan

// idle: the race detector makes looking at each line ten times as slow, and is about
// something else. The same tests are run without it.
const idle = true
