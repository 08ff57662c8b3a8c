package speccoverage

import (
	_ "embed"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var (
	//go:embed rules.txt
	rulesText string
	//go:embed threats.txt
	threatsText string
)

var rewrite = flag.Bool("rewrite", false, "write docs/spec-coverage.md instead of comparing it")

var (
	root = filepath.Join("..", "..")
	page = filepath.Join(root, "docs", "spec-coverage.md")
)

// ofThisModule is the coverage of the rules by the tests of this module.
func ofThisModule(t *testing.T) (coverage, []problem) {
	t.Helper()
	rules, err := parseRules(rulesText)
	if err != nil {
		t.Fatalf("rules.txt: %v", err)
	}
	threats, err := parseThreats(threatsText)
	if err != nil {
		t.Fatalf("threats.txt: %v", err)
	}
	claimants, stray, err := readClaims(root)
	if err != nil {
		t.Fatalf("reading the tests: %v", err)
	}
	c, wrong := connect(rules, threats, claimants)
	return c, append(stray, wrong...)
}

func TestClaimsNameWhatExists(t *testing.T) {
	_, problems := ofThisModule(t)
	for _, p := range problems {
		t.Error(p)
	}
}

func TestEveryRuleIsProvenOrOutOfScope(t *testing.T) {
	c, _ := ofThisModule(t)
	for _, r := range c.unproven() {
		t.Errorf("no test proves %s (%s): %s", r.id, r.level, r.text)
	}
}

func TestEveryRequiredThreatHasATest(t *testing.T) {
	c, _ := ofThisModule(t)
	for _, threat := range c.unmet() {
		t.Errorf("no test names %s: %s", threat.number, threat.text)
	}
}

func TestPageIsUpToDate(t *testing.T) {
	c, _ := ofThisModule(t)
	want := c.page()
	if *rewrite {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if at, differs := firstDifference(string(have), want); differs {
		t.Errorf("docs/spec-coverage.md, line %d: not what the tests say; run: go test ./internal/speccoverage -rewrite", at)
	}
}

// firstDifference is the number of the first line that differs.
func firstDifference(have, want string) (line int, differs bool) {
	if have == want {
		return 0, false
	}
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	for line < len(h) && line < len(w) && h[line] == w[line] {
		line++
	}
	return line + 1, true
}
