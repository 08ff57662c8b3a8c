package speccoverage

import (
	"fmt"
	"slices"
	"strings"
)

const pageHead = `# What the specifications ask, and which test proves it

Made from ` + "`internal/speccoverage`" + ` by ` + "`go test ./internal/speccoverage -rewrite`" + `; do not edit. The rules are told in our own words. A rule that several texts state stands once, in the table of the first; the column *stands in* names all of them. The level is the strictest word that a text uses for it (MUST, SHOULD, MAY), or *rule* for a plain statement.

A test is named after its folder and claims a rule in its doc comment. A rule that no test claims, and that is not out of scope for a stated reason, fails the build.

`

// page is docs/spec-coverage.md.
func (c coverage) page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	outOfScope := 0
	for _, r := range c.rules {
		if r.outOfScope != "" {
			outOfScope++
		}
	}
	missing := len(c.unproven())
	fmt.Fprintf(&b, "%d rules: %d proven, %d out of scope, %d not proven.\n",
		len(c.rules), len(c.rules)-outOfScope-missing, outOfScope, missing)
	for _, s := range sources {
		c.table(&b, s)
	}
	c.threatTable(&b)
	return b.String()
}

// table is the part of the page about one source.
func (c coverage) table(b *strings.Builder, s source) {
	var above []string
	fmt.Fprintf(b, "\n## %s\n\n", s.title)
	for _, r := range c.rules {
		if r.firstSource() != s.key && slices.Contains(r.sources, s.key) {
			above = append(above, r.id)
		}
	}
	if len(above) > 0 {
		fmt.Fprintf(b, "Shared with the texts above, and listed there: %s.\n\n", strings.Join(above, ", "))
	}
	b.WriteString("| id | rule | level | stands in | tests |\n|---|---|---|---|---|\n")
	for _, r := range c.rules {
		if r.firstSource() == s.key {
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", r.id, r.text, r.level, r.sections, c.proof(r))
		}
	}
}

func (c coverage) proof(r rule) string {
	switch tests := c.ofRules[r.id]; {
	case r.outOfScope != "":
		return "*out of scope:* " + r.outOfScope
	case len(tests) == 0:
		return "**not proven**"
	default:
		return names(tests)
	}
}

func (c coverage) threatTable(b *strings.Builder) {
	covered := 0
	for _, t := range c.threats {
		if len(c.ofThreats[t.number]) > 0 {
			covered++
		}
	}
	fmt.Fprintf(b, "\n## Threats and faults\n\nWhat has to hold against attackers and accidents. A test names the number in its doc comment. %d of %d have a test so far; the others are not listed.\n\n", covered, len(c.threats))
	b.WriteString("| number | what must hold | tests |\n|---|---|---|\n")
	for _, t := range c.threats {
		switch tests := c.ofThreats[t.number]; {
		case len(tests) > 0:
			fmt.Fprintf(b, "| %s | %s | %s |\n", t.number, t.text, names(tests))
		case t.required:
			fmt.Fprintf(b, "| %s | %s | **not proven** |\n", t.number, t.text)
		}
	}
}

func names(tests []string) string {
	return "`" + strings.Join(tests, "`, `") + "`"
}
