package speccoverage

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// source is one of the specifications.
type source struct {
	key   string // what ids and sections of its rules start with
	title string
}

// sources are in the order of the page.
var sources = []source{
	{"5", "5/SECURE-TRANSPORT"},
	{"draft", "Initial Conversational Security Specification (draft)"},
	{"54", "54/WAKU2-X3DH-SESSIONS"},
}

var levels = []string{"MUST", "SHOULD", "MAY", "rule"}

// rule is one line of rules.txt.
type rule struct {
	id         string
	level      string
	sections   string   // as written
	sources    []string // keys of the sources named in sections, each once
	text       string
	outOfScope string // the reason; empty if the rule has to be proven
}

// firstSource is the source whose table has the rule: that of its id.
func (r rule) firstSource() string {
	key, _, _ := strings.Cut(r.id, ".")
	return key
}

var ruleID = regexp.MustCompile(`^(5|draft|54)\.[a-z0-9-]+\.[1-9][0-9]*$`)

// parseRules reads the lines of rules.txt.
func parseRules(text string) ([]rule, error) {
	var rules []rule
	known := map[string]bool{}
	for number, line := range lines(text) {
		r, err := parseRule(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if known[r.id] {
			return nil, fmt.Errorf("line %d: %s stands here twice", number, r.id)
		}
		known[r.id] = true
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(line string) (rule, error) {
	columns := strings.Split(line, " | ")
	if len(columns) != 4 && len(columns) != 5 {
		return rule{}, fmt.Errorf("%d columns", len(columns))
	}
	r := rule{id: columns[0], level: columns[1], sections: columns[2], text: columns[3]}
	if !ruleID.MatchString(r.id) {
		return rule{}, fmt.Errorf("id %q is not source.topic.number", r.id)
	}
	if !slices.Contains(levels, r.level) {
		return rule{}, fmt.Errorf("%s: unknown level %q", r.id, r.level)
	}
	for section := range strings.SplitSeq(r.sections, "; ") {
		key, _, _ := strings.Cut(section, ": ")
		if !slices.ContainsFunc(sources, func(s source) bool { return s.key == key }) {
			return rule{}, fmt.Errorf("%s: section %q is of no source", r.id, section)
		}
		if !slices.Contains(r.sources, key) {
			r.sources = append(r.sources, key)
		}
	}
	if !slices.Contains(r.sources, r.firstSource()) {
		return rule{}, fmt.Errorf("%s does not stand in the source of its id", r.id)
	}
	if r.text == "" {
		return rule{}, fmt.Errorf("%s says nothing", r.id)
	}
	if len(columns) == 5 {
		reason, ok := strings.CutPrefix(columns[4], "out: ")
		if !ok || reason == "" {
			return rule{}, fmt.Errorf("%s: the fifth column is no reason", r.id)
		}
		r.outOfScope = reason
	}
	return r, nil
}

// threat is one line of threats.txt.
type threat struct {
	number   string
	text     string
	required bool
}

var threatNumber = regexp.MustCompile(`^T[0-9]{2}$`)

// parseThreats reads the lines of threats.txt.
func parseThreats(text string) ([]threat, error) {
	var threats []threat
	for number, line := range lines(text) {
		columns := strings.Split(line, " | ")
		if len(columns) != 2 && (len(columns) != 3 || columns[2] != "required") {
			return nil, fmt.Errorf("line %d: not number, text and perhaps required", number)
		}
		t := threat{columns[0], columns[1], len(columns) == 3}
		if !threatNumber.MatchString(t.number) || t.text == "" {
			return nil, fmt.Errorf("line %d: %q is no threat", number, line)
		}
		if len(threats) > 0 && threats[len(threats)-1].number >= t.number {
			return nil, fmt.Errorf("line %d: %s is out of order", number, t.number)
		}
		threats = append(threats, t)
	}
	return threats, nil
}

// lines are those that say something, by their numbers.
func lines(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		for i, line := range strings.Split(text, "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if !yield(i+1, line) {
				return
			}
		}
	}
}
