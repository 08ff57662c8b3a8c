package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// Status is the outcome of one check.
type Status string

// The outcomes, from the best to the worst.
const (
	// Equal: our value is the recorded one.
	Equal Status = "equal"
	// NotChecked: nothing in our core corresponds to the recorded value.
	NotChecked Status = "not checked"
	// NotSupported: outside the specifications (the group hash ratchet).
	NotSupported Status = "not supported"
	// Explained: differs as DEVIATIONS.md says.
	Explained Status = "explained"
	// Differs: a difference without an explanation.
	Differs Status = "differs"
)

var severity = []Status{Equal, NotChecked, NotSupported, Explained, Differs}

// Kinds of checks, for the counts of a summary.
const (
	KindPlaintext = "plaintext"
	KindWire      = "wire bytes"
	KindRefusal   = "refusal"
	KindValue     = "other value"
)

// Check is the comparison of one recorded value with ours.
type Check struct {
	Kind      string `json:"kind"`
	What      string `json:"what"`
	Status    Status `json:"status"`
	Deviation string `json:"deviation,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

// Step is what became of one recorded step, vector or operation.
type Step struct {
	I      int     `json:"i"`
	Cmd    string  `json:"cmd"`
	Node   string  `json:"node,omitempty"`
	Status Status  `json:"status"`
	Checks []Check `json:"checks"`

	// refused says that we refused a message, modelWrong that the model of the
	// reference foretold something else than what was recorded; for tests.
	refused    bool
	plaintext  []byte
	modelWrong bool
}

func (s *Step) add(c Check) {
	s.Checks = append(s.Checks, c)
	if slices.Index(severity, c.Status) > slices.Index(severity, s.Status) {
		s.Status = c.Status
	}
}

func (s *Step) equal(kind, what string) { s.add(Check{Kind: kind, What: what, Status: Equal}) }

func (s *Step) differs(kind, what, format string, args ...any) {
	s.add(Check{Kind: kind, What: what, Status: Differs, Detail: fmt.Sprintf(format, args...)})
}

func (s *Step) explained(kind, what string, c cause) {
	detail := c.why
	if c.step >= 0 {
		detail = fmt.Sprintf("%s (step %d)", c.why, c.step)
	}
	s.add(Check{Kind: kind, What: what, Status: Explained, Deviation: c.id, Detail: detail})
}

func (s *Step) outside(status Status, what, why string) {
	s.add(Check{Kind: KindValue, What: what, Status: status, Detail: why})
}

// value compares a value of ours with the recorded one.
func (s *Step) value(what string, same bool, format string, args ...any) {
	if same {
		s.equal(KindValue, what)
		return
	}
	s.differs(KindValue, what, format, args...)
}

// FileReport is what became of one recording.
type FileReport struct {
	Path   string `json:"path"`
	Schema string `json:"schema"`
	Name   string `json:"name,omitempty"`
	Steps  []Step `json:"steps"`
	// Rules is what became of the steps of a transcript under the full rules.
	Rules []Step `json:"rules,omitempty"`
}

// Counts summarises checks by status, and equal ones by kind.
type Counts struct {
	Equal        map[string]int `json:"equal"`
	Explained    map[string]int `json:"explained"`
	NotSupported int            `json:"not_supported"`
	NotChecked   int            `json:"not_checked"`
	Differs      int            `json:"differs"`
}

// Counts adds up the checks of the file.
func (f *FileReport) Counts() Counts {
	c := Counts{Equal: map[string]int{}, Explained: map[string]int{}}
	for i := range f.Steps {
		for _, check := range f.Steps[i].Checks {
			switch check.Status {
			case Equal:
				c.Equal[check.Kind]++
			case Explained:
				c.Explained[check.Deviation]++
			case NotSupported:
				c.NotSupported++
			case NotChecked:
				c.NotChecked++
			case Differs:
				c.Differs++
			}
		}
	}
	return c
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	for k, n := range other.Equal {
		c.Equal[k] += n
	}
	for k, n := range other.Explained {
		c.Explained[k] += n
	}
	c.NotSupported += other.NotSupported
	c.NotChecked += other.NotChecked
	c.Differs += other.Differs
}

// WriteText writes the report of one file for people: a line of counts, then
// every explained or unexplained difference, then what was left out and why.
func (f *FileReport) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s: %s\n", f.Path, f.Counts()); err != nil {
		return err
	}
	for i := range f.Steps {
		s := &f.Steps[i]
		for _, c := range s.Checks {
			if c.Status != Explained && c.Status != Differs {
				continue
			}
			word := "DIFFERS"
			if c.Status == Explained {
				word = c.Deviation
			}
			if _, err := fmt.Fprintf(w, "  step %d %s %s: %s: %s: %s\n", s.I, s.Cmd, s.Node, word, c.What, c.Detail); err != nil {
				return err
			}
		}
	}
	return f.writeOutside(w)
}

// writeOutside writes for each reason how many recorded values were not compared
// because of it.
func (f *FileReport) writeOutside(w io.Writer) error {
	count := map[string]int{}
	for i := range f.Steps {
		for _, c := range f.Steps[i].Checks {
			if c.Status == NotSupported || c.Status == NotChecked {
				count[fmt.Sprintf("%s: %s", c.Status, c.Detail)]++
			}
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(count)) {
		if _, err := fmt.Fprintf(w, "  %d %s\n", count[reason], reason); err != nil {
			return err
		}
	}
	return nil
}

// String gives the counts in one line.
func (c Counts) String() string {
	total := 0
	for _, n := range c.Explained {
		total += n
	}
	text := fmt.Sprintf("%d plaintexts, %d wire bytes, %d refusals, %d other values equal; %d explained",
		c.Equal[KindPlaintext], c.Equal[KindWire], c.Equal[KindRefusal], c.Equal[KindValue], total)
	for i, id := range slices.Sorted(maps.Keys(c.Explained)) {
		separator := ", "
		if i == 0 {
			separator = " ("
		}
		text += fmt.Sprintf("%s%s %d", separator, id, c.Explained[id])
	}
	if total > 0 {
		text += ")"
	}
	return text + fmt.Sprintf("; %d not supported, %d not checked; %d differ", c.NotSupported, c.NotChecked, c.Differs)
}
