// Package lint holds the rules of the house that a general linter does not
// know: which package may import which, and how files, packages and tests
// look.
//
// It owns no product code. Every rule is a function from a source tree to the
// places that break it; TestTreeKeepsTheRules applies all of them to this
// repository and TestEveryRuleCanFail shows each of them a tree that breaks
// it. Style and the use of single functions (clock, printing, comparing) are
// the business of .golangci.yml.
package lint
