package main

// side is one of the two who talk.
type side int

const (
	alice side = iota
	bob
	sides = 2
)

func (s side) other() side { return 1 - s }

// String names the side, also its directory.
func (s side) String() string { return [sides]string{"alice", "bob"}[s] }
