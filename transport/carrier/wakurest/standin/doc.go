// Package standin stands in for go-waku and nwaku nodes in tests: their REST
// interface with its traps, in a network in memory.
//
// It owns what was recorded of a go-waku node (testdata) and what is known of nwaku
// from its source: forms, status codes, limits, caches that drop or block, what a
// restart forgets. It does not know who asks. Nodes can be made to fail and to lie.
// Nothing but tests and the programs that they start use it.
package standin
