// Package speccoverage shows which test proves which sentence of the
// specifications, and which threat.
//
// It owns rules.txt (every rule of the specifications, in our own words),
// threats.txt (what the project has to survive) and docs/spec-coverage.md, the
// page that is made from both and from the doc comments of all tests of the
// module. It holds no product code and knows nothing of what the tests do: a
// test claims a rule in its doc comment with a line
//
//	Spec: 5.concurrent-sessions.1 5.concurrent-sessions.2
//
// and a threat by naming its number. A claim of a rule that does not exist, a
// rule that is neither claimed nor out of scope, and a page that is not up to
// date fail the tests of this package. After a change of claims or rules,
//
//	go test ./internal/speccoverage -rewrite
//
// writes the page anew.
package speccoverage
