package replay

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// like repeats what the first pass said of the same outcome, if it was a
// deviation that it had seen; what are the names of its checks.
func (s *Step) like(first *Step, kind string, what ...string) bool {
	for _, c := range first.Checks {
		if c.Status == Explained && slices.Contains(what, c.What) {
			s.add(Check{Kind: kind, What: c.What, Status: Explained, Deviation: c.Deviation, Detail: c.Detail})
			return true
		}
	}
	return false
}

// ruled names the rule that refused what the reference accepts.
func (s *Step) ruled(kind, what string, err error) {
	for _, r := range refusing {
		if errors.Is(err, r.err) {
			s.explained(kind, what, cause{r.rule, -1, err.Error()})
			return
		}
	}
	s.differs(kind, what, "ours: %v", err)
}

// RuleCounts summarises the steps of a transcript under the full rules.
type RuleCounts struct {
	// Agreed are steps in which our rules choose as the reference did.
	Agreed int `json:"agreed"`
	// Otherwise are steps by the ID of a Rule or a Deviation.
	Otherwise map[string]int `json:"otherwise"`
	// NotApplicable are steps that are no matter of the rules.
	NotApplicable int `json:"not_applicable"`
	Differs       int `json:"differs"`
}

// RuleCounts counts the steps of the second pass. A step with several names
// counts for each of them.
func (f *FileReport) RuleCounts() RuleCounts {
	c := RuleCounts{Otherwise: map[string]int{}}
	for i := range f.Rules {
		s := &f.Rules[i]
		switch s.Status {
		case Equal:
			c.Agreed++
		case NotChecked, NotSupported:
			c.NotApplicable++
		case Differs:
			c.Differs++
		case Explained:
			named := map[string]bool{}
			for _, check := range s.Checks {
				if check.Status == Explained {
					named[check.Deviation] = true
				}
			}
			for id := range named {
				c.Otherwise[id]++
			}
		}
	}
	return c
}

// Add adds other to c.
func (c *RuleCounts) Add(other RuleCounts) {
	c.Agreed += other.Agreed
	for k, n := range other.Otherwise {
		c.Otherwise[k] += n
	}
	c.NotApplicable += other.NotApplicable
	c.Differs += other.Differs
}

// String gives the counts in one line.
func (c RuleCounts) String() string {
	text := fmt.Sprintf("%d steps agreed, %d not applicable, %d differ", c.Agreed, c.NotApplicable, c.Differs)
	for i, id := range slices.Sorted(maps.Keys(c.Otherwise)) {
		separator := ","
		if i == 0 {
			separator = "; otherwise:"
		}
		text += fmt.Sprintf("%s %s %d", separator, id, c.Otherwise[id])
	}
	return text
}

// WriteRules writes what became of a transcript under the full rules: a line of
// counts, then every step that differs without a name.
func (f *FileReport) WriteRules(w io.Writer) error {
	if len(f.Rules) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "%s: %s\n", f.Path, f.RuleCounts()); err != nil {
		return err
	}
	for i := range f.Rules {
		s := &f.Rules[i]
		for _, c := range s.Checks {
			if c.Status != Differs {
				continue
			}
			if _, err := fmt.Fprintf(w, "  step %d %s %s: DIFFERS: %s: %s\n", s.I, s.Cmd, s.Node, c.What, c.Detail); err != nil {
				return err
			}
		}
	}
	return nil
}
