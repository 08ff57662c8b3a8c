package lint

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	dashboardsFolder = "packaging/grafana/dashboards"
	// dashboardWidth is that of a dashboard, in Grafana's own unit.
	dashboardWidth = 24
)

var (
	labelNamed = regexp.MustCompile("`([a-z_]+)`")
	// matchers are what a query wants of the labels of one metric, grouping the labels
	// that it sums by.
	matchers = regexp.MustCompile(`\{([^{}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\b(?:by|without) \(([^)]*)\)`)
)

// metric is a row of the page of metrics.
type metric struct {
	name, kind string
	labels     []string
	line       int
}

// series are the names that Prometheus has for it.
func (m metric) series() []string {
	if m.kind != "histogram" {
		return []string{m.name}
	}
	return []string{m.name, m.name + "_bucket", m.name + "_sum", m.name + "_count"}
}

func metricsOf(t *tree) []metric {
	var all []metric
	for _, f := range t.files {
		if f.path != metricsPage {
			continue
		}
		eachLine(f, func(number int, line string) {
			row := metricRow.FindStringSubmatch(line)
			if row == nil {
				return
			}
			m := metric{name: row[1], kind: row[2], line: number}
			for _, label := range labelNamed.FindAllStringSubmatch(row[3], -1) {
				m.labels = append(m.labels, label[1])
			}
			all = append(all, m)
		})
	}
	return all
}

// dashboardsShowTheMetrics holds that dashboards have a place for each panel and show
// every metric, and that queries ask for labels that their metrics have.
func dashboardsShowTheMetrics(t *tree) []violation {
	labels := map[string][]string{}
	metrics := metricsOf(t)
	for _, m := range metrics {
		for _, name := range m.series() {
			labels[name] = append([]string{"instance", "le"}, m.labels...)
		}
	}
	var broken []violation
	shown := map[string]bool{}
	for _, f := range t.files {
		if !f.in(packagingFolder) || strings.HasSuffix(f.path, ".md") {
			continue
		}
		eachLine(f, func(number int, line string) {
			names := metricName.FindAllString(line, -1)
			if len(names) == 0 {
				return
			}
			var known []string
			for _, name := range names {
				known = append(known, labels[name]...)
				shown[name] = shown[name] || f.in(dashboardsFolder)
			}
			for _, asked := range labelsAsked(line) {
				if !slices.Contains(known, asked) {
					broken = append(broken, violation{f.path, number, fmt.Sprintf("no metric of this query has the label %q", asked)})
				}
			}
		})
		if f.in(dashboardsFolder) {
			broken = append(broken, places(f)...)
		}
	}
	for _, m := range metrics {
		if !slices.ContainsFunc(m.series(), func(name string) bool { return shown[name] }) {
			broken = append(broken, violation{metricsPage, m.line, m.name + " is in no dashboard"})
		}
	}
	return broken
}

func labelsAsked(query string) (all []string) {
	for _, of := range matchers.FindAllStringSubmatch(query, -1) {
		for _, label := range matcher.FindAllStringSubmatch(of[1], -1) {
			all = append(all, label[1])
		}
	}
	for _, of := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(of[1], ",") {
			all = append(all, strings.TrimSpace(label))
		}
	}
	return all
}

// places looks whether each panel of a dashboard has an id and a place of its own.
func places(f file) (broken []violation) {
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
	}
	if err := json.Unmarshal(f.text, &dashboard); err != nil {
		return []violation{{f.path, 1, err.Error()}}
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			broken = append(broken, violation{f.path, 1, fmt.Sprintf("panel %q has the id %d of another one", p.Title, p.ID)})
		}
		ids[p.ID] = true
		at := p.GridPos
		if at.W < 1 || at.H < 1 || at.X < 0 || at.Y < 0 || at.X+at.W > dashboardWidth {
			broken = append(broken, violation{f.path, 1, fmt.Sprintf("panel %q is beside the dashboard", p.Title)})
			continue
		}
		over := map[string]bool{}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other, is := taken[[2]int{x, y}]; is {
					over[other] = true
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for other := range over {
			broken = append(broken, violation{f.path, 1, fmt.Sprintf("panel %q lies over %q", p.Title, other)})
		}
	}
	return broken
}
