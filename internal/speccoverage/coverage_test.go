package speccoverage

import (
	"fmt"
	"slices"
)

// coverage is what is asked, and who proves it. Tests are named and sorted.
type coverage struct {
	rules     []rule
	threats   []threat
	ofRules   map[string][]string
	ofThreats map[string][]string
}

// connect gives each rule and threat its tests, and what does not fit.
func connect(rules []rule, threats []threat, claimants []claimant) (coverage, []problem) {
	c := coverage{rules, threats, map[string][]string{}, map[string][]string{}}
	known := map[string]rule{}
	for _, r := range rules {
		known[r.id] = r
	}
	var problems []problem
	wrong := func(at claimant, format string, args ...any) {
		problems = append(problems, problem{at.at, at.name + " " + fmt.Sprintf(format, args...)})
	}
	for _, test := range claimants {
		for i, id := range test.rules {
			r, ok := known[id]
			switch {
			case !ok:
				wrong(test, "claims %s, which rules.txt does not have", id)
			case r.outOfScope != "":
				wrong(test, "claims %s, which is out of scope", id)
			case slices.Contains(test.rules[:i], id):
				wrong(test, "claims %s twice", id)
			default:
				c.ofRules[id] = append(c.ofRules[id], test.name)
			}
		}
		for _, number := range test.threats {
			if !slices.ContainsFunc(threats, func(t threat) bool { return t.number == number }) {
				wrong(test, "names %s, which threats.txt does not have", number)
				continue
			}
			c.ofThreats[number] = append(c.ofThreats[number], test.name)
		}
	}
	for _, tests := range c.ofRules {
		slices.Sort(tests)
	}
	for _, tests := range c.ofThreats {
		slices.Sort(tests)
	}
	return c, problems
}

// unproven are the rules in scope that no test claims.
func (c coverage) unproven() []rule {
	var missing []rule
	for _, r := range c.rules {
		if r.outOfScope == "" && len(c.ofRules[r.id]) == 0 {
			missing = append(missing, r)
		}
	}
	return missing
}

// unmet are the required threats that no test names.
func (c coverage) unmet() []threat {
	var missing []threat
	for _, t := range c.threats {
		if t.required && len(c.ofThreats[t.number]) == 0 {
			missing = append(missing, t)
		}
	}
	return missing
}
