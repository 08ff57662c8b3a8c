package lint

import (
	"fmt"
	"regexp"
	"strings"
)

const (
	packagingFolder = "packaging"
	metricsPage     = "docs/metrics.md"
	commandFolder   = "cmd/rookery"
)

var (
	// metricName is how Prometheus calls one of ours, also a part of a histogram.
	metricName = regexp.MustCompile(`\brookery_[a-z][a-z_]*[a-z]\b`)
	metricRow  = regexp.MustCompile("^\\| `(rookery_[a-z_]+)` \\| ([a-z]+) \\|[^|]*\\|([^|]*)")
	// commandLine is where packaging gives flags to the command: one of systemd, or an
	// item of a list in YAML.
	commandLine     = regexp.MustCompile(`^(ExecStart=|\s+- --)`)
	flagGiven       = regexp.MustCompile(`\s--([a-z][a-z-]*)`)
	flagDeclared    = regexp.MustCompile(`\bname:"([a-z][a-z-]*)"`)
	environmentName = regexp.MustCompile(`\bROOKERY_[A-Z_]+[A-Z]\b`)
)

// packagingNamesWhatExists holds that metrics, flags and variables in what is for
// operators to install are those that the command has.
func packagingNamesWhatExists(t *tree) []violation {
	known := map[string]bool{}
	for _, m := range metricsOf(t) {
		for _, name := range m.series() {
			known[name] = true
		}
	}
	for _, f := range t.files {
		switch {
		case f.in(commandFolder) && f.syntax != nil && !f.isTest():
			for _, m := range flagDeclared.FindAllStringSubmatch(string(f.text), -1) {
				known["--"+m[1]] = true
			}
			for _, name := range environmentName.FindAllString(string(f.text), -1) {
				known[name] = true
			}
		}
	}
	var broken []violation
	for _, f := range t.files {
		if !f.in(packagingFolder) || strings.HasSuffix(f.path, ".md") {
			continue
		}
		eachLine(f, func(number int, line string) {
			names := append(metricName.FindAllString(line, -1), environmentName.FindAllString(line, -1)...)
			if commandLine.MatchString(line) {
				for _, m := range flagGiven.FindAllStringSubmatch(line, -1) {
					names = append(names, "--"+m[1])
				}
			}
			for _, name := range names {
				if !known[name] {
					broken = append(broken, violation{f.path, number, fmt.Sprintf("there is no %s", name)})
				}
			}
		})
	}
	return broken
}
