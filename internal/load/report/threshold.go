package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-im/rookery/internal/load"
)

// ErrThreshold: a threshold that cannot be understood.
var ErrThreshold = errors.New("--fail-if")

// Threshold is a condition under which a run has failed: "p99>50ms", or of a
// comparison "p99>1.2x".
type Threshold struct {
	metric   Metric
	operator string
	limit    float64
	text     string // the limit as it was written
	ratio    bool
}

// operators, the longer ones first.
var operators = []string{">=", "<=", "==", ">", "<"}

// ParseThreshold reads one: ErrThreshold.
func ParseThreshold(text string) (Threshold, error) {
	compact := strings.Join(strings.Fields(text), "")
	at, operator := -1, ""
	for _, o := range operators {
		if i := strings.Index(compact, o); i >= 0 && at < 0 {
			at, operator = i, o
		}
	}
	if at <= 0 {
		return Threshold{}, fmt.Errorf("%w: %q: it looks like p99>50ms or lost>0", ErrThreshold, text)
	}
	m, err := find(compact[:at])
	if err != nil {
		return Threshold{}, err
	}
	t := Threshold{metric: m, operator: operator, text: compact[at+len(operator):]}
	if number, ratio := strings.CutSuffix(t.text, "x"); ratio {
		t.ratio = true
		t.limit, err = parseNumber(number)
	} else {
		t.limit, err = m.parse(t.text)
	}
	if err != nil {
		return Threshold{}, fmt.Errorf("%w: %q: %w", ErrThreshold, text, err)
	}
	return t, nil
}

func parseNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v != v || v > 1e18 || v < -1e18 {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return v, nil
}

// factors of units of sizes.
var factors = map[string]float64{
	"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
}

// parse reads a value of the metric with its unit.
func (m Metric) parse(text string) (float64, error) {
	switch m.unit {
	case duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("%s is a time, such as 50ms", m.Name)
		}
		return float64(d), nil
	case size:
		digits := strings.TrimRightFunc(text, func(r rune) bool { return r < '0' || r > '9' })
		factor, known := factors[text[len(digits):]]
		v, err := parseNumber(digits)
		if !known && text != "0" || err != nil {
			return 0, fmt.Errorf("%s is a size, such as 2GiB", m.Name)
		}
		return v * cmp.Or(factor, 1), nil
	case share:
		digits, percent := strings.CutSuffix(text, "%")
		v, err := parseNumber(digits)
		if !percent || err != nil {
			return 0, fmt.Errorf("%s is a share, such as 5%%", m.Name)
		}
		return v / 100, nil
	default:
		v, err := parseNumber(text)
		if err != nil {
			return 0, fmt.Errorf("%s is a number: %w", m.Name, err)
		}
		return v, nil
	}
}

// String gives it as it was written.
func (t Threshold) String() string { return t.metric.Name + t.operator + t.text }

func (t Threshold) exceeded(v float64) bool {
	switch t.operator {
	case ">":
		return v > t.limit
	case ">=":
		return v >= t.limit
	case "<":
		return v < t.limit
	case "<=":
		return v <= t.limit
	}
	return v == t.limit
}

// Outcome is what a threshold says of a run.
type Outcome struct {
	Threshold string `json:"fail_if"`
	Value     string `json:"value"`
	Failed    bool   `json:"failed"`
}

// notMeasured is the value of what there is no figure for; it fails, since nobody can
// say that it is within its limit.
const notMeasured = "not measured"

// Judge applies thresholds to a result. ErrThreshold for those of comparisons.
func Judge(r *load.Result, thresholds []Threshold) ([]Outcome, error) {
	var all []Outcome
	for _, t := range thresholds {
		if t.ratio {
			return nil, fmt.Errorf("%w: %v: a ratio is for comparisons of two runs", ErrThreshold, t)
		}
		o := Outcome{Threshold: t.String(), Value: notMeasured, Failed: true}
		if v, ok := t.metric.value(r); ok {
			o.Value, o.Failed = t.metric.show(v), t.exceeded(v)
		}
		all = append(all, o)
	}
	return all, nil
}

// Failed tells whether any threshold has failed.
func Failed(outcomes []Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Failed })
}
