package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rookery-im/rookery/internal/load"
)

// ErrReport: a file is no report of a load run.
var ErrReport = errors.New("no report of a load run")

// Report is a result with what the thresholds say of it.
type Report struct {
	load.Result
	Thresholds []Outcome `json:"thresholds,omitempty"`
}

// maxReport in bytes.
const maxReport = 64 << 20

// Read reads a report as WriteJSON has written it: ErrReport.
func Read(r io.Reader) (*Report, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxReport))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	var report Report
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if report.Format != load.ResultFormat {
		return nil, fmt.Errorf("%w: format %d, this release knows %d", ErrReport, report.Format, load.ResultFormat)
	}
	return &report, nil
}

// WriteJSON writes everything, for Read and for other programs.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(r)
}

// row is one named figure.
type row struct{ Name, Value string }

// section is a table of a report.
type section struct {
	Title string
	Rows  []row
}

// headline is what was run.
func (r *Report) headline() string {
	c := r.Config
	text := fmt.Sprintf("%s: %s identities with %s contacts each", c.Scenario, showCount(float64(c.Identities)), showCount(float64(c.Contacts)))
	if c.Scenario == load.Bot {
		text = fmt.Sprintf("%s: one identity and %s others", c.Scenario, showCount(float64(c.Contacts)))
	}
	if c.Devices > 1 {
		text += fmt.Sprintf(", %d devices", c.Devices)
	}
	return text
}

func (r *Report) pace() string {
	if r.Config.Rate > 0 {
		return fmt.Sprintf("%s sends per second, from their intended time on", showCount(r.Config.Rate))
	}
	return fmt.Sprintf("%d in flight, the next when one has ended", r.Config.InFlight)
}

// sections are all figures, in the order in which they are read.
func (r *Report) sections() []section {
	all := []section{r.parameters(), r.speed(), r.resources(), r.counts()}
	for _, causes := range []struct {
		title string
		of    map[string]int64
	}{{"causes of refusals", r.Outcomes.Causes}, {"alarms", r.Outcomes.Alarms}, {"errors of sends", r.Outcomes.Errors}} {
		s := section{Title: causes.title}
		for _, cause := range slices.Sorted(maps.Keys(causes.of)) {
			s.Rows = append(s.Rows, row{cause, showCount(float64(causes.of[cause]))})
		}
		if len(s.Rows) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func (r *Report) parameters() section {
	c := r.Config
	s := section{Title: "run", Rows: []row{
		{"pace", r.pace()},
		{"payload", c.Payload.String() + " bytes"},
		{"duration", fmt.Sprintf("%v after a warm-up of %v", c.Duration, c.WarmUp)},
		{"network", r.Place.Transport},
		{"durability", r.Place.Durability},
		{"seed", fmt.Sprint(c.Seed)},
	}}
	if c.Hot > 0 {
		s.Rows = append(s.Rows, row{"hot", fmt.Sprintf("%d, nobody else writes", c.Hot)})
	}
	m := r.Machine
	s.Rows = append(s.Rows, row{"machine", strings.Trim(fmt.Sprintf("%s, %d processors (%s), %s, %s", m.System, m.Processors, m.Processor, showSize(float64(m.Memory)), m.Go), ", ")})
	if r.SetUp != nil {
		s.Rows = append(s.Rows, row{"set-up", fmt.Sprintf("%s identities and %s pairs in %s, %s pairs/s",
			showCount(float64(r.SetUp.Identities)), showCount(float64(r.SetUp.Pairs)), showDuration(r.SetUp.Took), showCount(r.SetUp.PairsPerSecond))})
	}
	return s
}

func (r *Report) speed() section {
	line := func(l load.Latency) string {
		if l.Count == 0 {
			return "none was measured"
		}
		return fmt.Sprintf("p50 %s   p90 %s   p99 %s   p99.9 %s   max %s",
			showDuration(l.P50), showDuration(l.P90), showDuration(l.P99), showDuration(l.P999), showDuration(l.Max))
	}
	since := "from when it was meant to be sent"
	if r.Config.Rate == 0 {
		since = "from when it was sent"
	}
	return section{Title: "speed", Rows: []row{
		{"throughput", fmt.Sprintf("%s messages/s delivered", showCount(r.Throughput))},
		{"latency", since},
		{"  to the handler", line(r.Delivery)},
		{"  to durable", line(r.Durable)},
		{"drained", fmt.Sprintf("%s after the last was sent", showDuration(r.Drained))},
		{"opened", fmt.Sprintf("%s with %s sessions, first message after %s",
			showDuration(r.Opening.Open), showCount(float64(r.Opening.Sessions)), showDuration(r.Opening.First))},
	}}
}

func (r *Report) resources() section {
	res := r.Resources
	s := section{Title: "taken", Rows: []row{
		{"processor", fmt.Sprintf("%s per message; %s user, %s system", r.figure("cpu_per_message"), showDuration(res.User), showDuration(res.System))},
		{"memory", fmt.Sprintf("%s at the start, %s at the end, %s at most", showSize(float64(res.MemoryStart)), showSize(float64(res.MemoryEnd)), showSize(float64(res.MemoryPeak)))},
		{"", fmt.Sprintf("%s per identity, %s per session; %s of it the tester's own",
			r.figure("memory_per_identity"), r.figure("memory_per_session"), showSize(float64(res.Tester)))},
		{"first and last minute", fmt.Sprintf("%s and %s, %s; %.0f and %.0f goroutines, %s",
			showSize(res.MemoryFirst), showSize(res.MemoryLast), r.figure("memory_growth"), res.GoroutinesFirst, res.GoroutinesLast, r.figure("goroutine_growth"))},
	}}
	if res.Disk > 0 {
		s.Rows = append(s.Rows, row{"disk", fmt.Sprintf("%s, %s per session; %s synced batches", showSize(float64(res.Disk)), r.figure("disk_per_session"), showCount(float64(res.Batches)))})
	}
	s.Rows = append(s.Rows, row{"asleep and awake", fmt.Sprintf("%s identities awake at the end; woken %s times, %s per message; left memory %s times",
		showCount(float64(res.Awake)), showCount(float64(res.Wakes)), r.figure("wakes_per_message"), showCount(float64(res.Sleeps)))})
	s.Rows = append(s.Rows, row{"network", fmt.Sprintf("%s envelopes, %s per message", showCount(float64(res.Envelopes)), r.figure("bytes_per_message"))})
	return s
}

// figure shows the metric of a name.
func (r *Report) figure(name string) string {
	m, err := find(name)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	if v, ok := m.value(&r.Result); ok {
		return m.show(v)
	}
	return notMeasured
}

// always are the outcomes that are shown also when they are 0.
var always = []string{"sent", "delivered", "lost", "duplicates", "out_of_order"}

func (r *Report) counts() section {
	s := section{Title: "messages"}
	for _, m := range outcomes() {
		if v, _ := m.value(&r.Result); v != 0 || slices.Contains(always, m.Name) {
			s.Rows = append(s.Rows, row{m.Title, m.show(v)})
		}
	}
	return s
}

// WriteText writes a summary to read.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s\n", r.headline())
	for _, s := range r.sections() {
		_, _ = fmt.Fprintf(&b, "%s:\n", s.Title)
		for _, row := range s.Rows {
			writeRow(&b, row.Name, row.Value)
		}
	}
	if len(r.Thresholds) > 0 {
		_, _ = fmt.Fprintln(&b, "thresholds:")
		for _, t := range r.Thresholds {
			writeRow(&b, "fail if "+t.Threshold, t.verdict())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRow(w io.Writer, name, value string) {
	const wide = 30
	_, _ = fmt.Fprintf(w, "  %-*s %s\n", wide, name, value)
}

func (o Outcome) verdict() string {
	if o.Failed {
		return "FAILED, " + o.Value
	}
	return "kept, " + o.Value
}
