package speccoverage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const goodRule = "5.topic.1 | MUST | 5: Topic; 54: Topic | Something holds."

func TestRulesAreRead(t *testing.T) {
	rules, err := parseRules("# a comment\n\n" + goodRule + "\ndraft.other.12 | rule | draft: 1.2 | Another thing. | out: Not ours.\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) != 2 {
		t.Fatalf("%d rules of 2", len(rules))
	}
	first := rule{"5.topic.1", "MUST", "5: Topic; 54: Topic", []string{"5", "54"}, "Something holds.", ""}
	if fmt.Sprint(rules[0]) != fmt.Sprint(first) {
		t.Errorf("have %v, want %v", rules[0], first)
	}
	if rules[1].outOfScope != "Not ours." {
		t.Errorf("reason %q", rules[1].outOfScope)
	}
}

func TestMalformedLinesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"too few columns":    "5.topic.1 | MUST | 5: Topic",
		"too many columns":   goodRule + " | out: a | out: b",
		"unknown source":     strings.Replace(goodRule, "5.topic", "6.topic", 1),
		"no number":          strings.Replace(goodRule, "topic.1", "topic", 1),
		"unknown level":      strings.Replace(goodRule, "MUST", "must", 1),
		"section of nothing": strings.Replace(goodRule, "54: Topic", "53: Topic", 1),
		"another source":     strings.Replace(goodRule, "5: Topic; ", "", 1),
		"no text":            strings.Replace(goodRule, "Something holds.", "", 1),
		"reason unmarked":    goodRule + " | because",
		"no reason":          goodRule + " | out: ",
		"id twice":           goodRule + "\n" + goodRule,
	} {
		if rules, err := parseRules(text); err == nil {
			t.Errorf("%s: read as %v", name, rules)
		}
	}
	for name, text := range map[string]string{
		"no text":        "T01",
		"other number":   "T1 | Something.",
		"third column":   "T01 | Something. | maybe",
		"wrong order":    "T02 | Something.\nT01 | Something.",
		"a number twice": "T01 | Something.\nT01 | Something.",
	} {
		if threats, err := parseThreats(text); err == nil {
			t.Errorf("threats, %s: read as %v", name, threats)
		}
	}
}

const claimingFile = `package sample

// TestA shows something.
// T01, T02: and more.
//
// Spec: 5.topic.1 5.topic.2
// Spec: 54.topic.1, 54.topic.2
func TestA(t *testing.T) {}

func TestWithoutComment(t *testing.T) {}

// T03: twice. T03.
func FuzzT04AndUTC12(f *testing.F) {}

// Spec: 5.topic.3
func helper() {}

func TestB(t *testing.T) {
	// Spec: 5.topic.4
}

// Spec: 5.topic.5
func (s suite) TestC(t *testing.T) {}

// Spec: 5.topic.6
func TestMain(m *testing.M) {}

// T05: an example is no proof.
func ExampleA() {}
`

func TestClaimsAreRead(t *testing.T) {
	claimants, problems, err := claimsOf("some/folder/sample_test.go", []byte(claimingFile))
	if err != nil {
		t.Fatal(err)
	}
	want := []claimant{
		{"some/folder.TestA", "some/folder/sample_test.go:8", []string{"5.topic.1", "5.topic.2", "54.topic.1", "54.topic.2"}, []string{"T01", "T02"}},
		{"some/folder.TestWithoutComment", "some/folder/sample_test.go:10", nil, nil},
		{"some/folder.FuzzT04AndUTC12", "some/folder/sample_test.go:13", nil, []string{"T03", "T04"}},
		{"some/folder.TestB", "some/folder/sample_test.go:18", nil, nil},
	}
	if fmt.Sprint(claimants) != fmt.Sprint(want) {
		t.Errorf("have %v\nwant %v", claimants, want)
	}
	// helper, the line inside TestB, the method and TestMain.
	if len(problems) != 4 {
		t.Errorf("%d claims in wrong places of 4: %v", len(problems), problems)
	}
	if claimants, _, err := claimsOf("root_test.go", []byte("package p\nfunc TestA() {}\n")); err != nil || claimants[0].name != "rookery.TestA" {
		t.Errorf("in the root: %v, %v", claimants, err)
	}
}

func TestWhatDoesNotFitIsReported(t *testing.T) {
	rules, err := parseRules(goodRule + "\n5.topic.2 | rule | 5: Topic | Unproven.\n5.topic.3 | rule | 5: Topic | Not ours. | out: A reason.\n")
	if err != nil {
		t.Fatal(err)
	}
	threats, err := parseThreats("T01 | Known.\nT02 | Needed. | required\nT03 | Needed and named. | required")
	if err != nil {
		t.Fatal(err)
	}
	c, problems := connect(rules, threats, []claimant{
		{"p.TestZ", "z_test.go:1", []string{"5.topic.1"}, []string{"T03"}},
		{"p.TestA", "a_test.go:1", []string{"5.topic.1", "5.topic.1", "5.topic.3", "5.topic.9"}, []string{"T09"}},
	})
	if len(problems) != 4 {
		t.Errorf("%d problems of 4 (twice, out of scope, unknown rule, unknown threat): %v", len(problems), problems)
	}
	if have := c.ofRules["5.topic.1"]; !slices.Equal(have, []string{"p.TestA", "p.TestZ"}) {
		t.Errorf("5.topic.1 is proven by %v", have)
	}
	if missing := c.unproven(); len(missing) != 1 || missing[0].id != "5.topic.2" {
		t.Errorf("unproven: %v", missing)
	}
	if missing := c.unmet(); len(missing) != 1 || missing[0].number != "T02" {
		t.Errorf("unmet: %v", missing)
	}
	text := c.page()
	for _, line := range []string{
		"3 rules: 1 proven, 1 out of scope, 1 not proven.",
		"| 5.topic.1 | Something holds. | MUST | 5: Topic; 54: Topic | `p.TestA`, `p.TestZ` |",
		"| 5.topic.2 | Unproven. | rule | 5: Topic | **not proven** |",
		"| 5.topic.3 | Not ours. | rule | 5: Topic | *out of scope:* A reason. |",
		"Shared with the texts above, and listed there: 5.topic.1.",
		"| T02 | Needed. | **not proven** |",
		"| T03 | Needed and named. | `p.TestZ` |",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the page lacks: %s", line)
		}
	}
	if strings.Contains(text, "| T01 |") {
		t.Error("the page lists a threat without a test that nobody requires")
	}
}

func TestFirstDifferenceIsFound(t *testing.T) {
	for _, c := range []struct {
		have, want string
		line       int
		differs    bool
	}{
		{"a\nb\n", "a\nb\n", 0, false},
		{"a\nb\n", "a\nc\n", 2, true},
		{"a\n", "a\nc\n", 2, true},
		{"", "a\n", 1, true},
	} {
		if line, differs := firstDifference(c.have, c.want); line != c.line || differs != c.differs {
			t.Errorf("%q and %q: line %d, %v", c.have, c.want, line, differs)
		}
	}
}
