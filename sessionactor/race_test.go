//go:build race

package sessionactor

// Of what is tried in one goroutine a part is: the race detector makes each ten
// times as dear, and what it looks for is in all of them. Without it all are tried.
const (
	oneIn       = 5 // of the random schedules
	interleaved = 2 // messages of each side arrive in every order
)
