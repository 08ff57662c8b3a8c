package report

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/internal/load"
)

func TestThresholdsJudgeFigures(t *testing.T) {
	for text, failed := range map[string]bool{
		"lost>0":                 true,
		"lost > 2":               false,
		"lost>=2":                true,
		"lost==2":                true,
		"p99>50ms":               true,
		"p99<=60ms":              true,
		"p99 > 0.1s":             false,
		"p99.9>80ms":             true,
		"durable_p50>1ms":        true,
		"memory>2GiB":            false,
		"memory>99MiB":           true,
		"memory>0":               true,
		"memory_growth>5%":       true,
		"memory_growth>20%":      false,
		"goroutine_growth>5%":    false,
		"first_message>3s":       false,
		"throughput<1000":        true,
		"throughput<900":         false,
		"cpu_per_message>1ms":    false,
		"bytes_per_message>400B": true,
		"pairs_per_second<1":     true, // was not measured
	} {
		outcomes, err := Judge(example(), mustParse(t, text))
		if err != nil || len(outcomes) != 1 {
			t.Fatalf("%s: %v, %v", text, outcomes, err)
		}
		if outcomes[0].Failed != failed || Failed(outcomes) != failed {
			t.Errorf("%s: %+v", text, outcomes[0])
		}
	}
}

func TestThresholdsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, text := range []string{
		"", ">", "lost", "lost>", ">0", "nothing>0", "p99>50", "p99>fast", "memory>2", "memory>2parsecs", "memory_growth>5", "lost>5ms", "lost>x", "throughput<1000/s",
		"p99>NaNx", "lost>NaN", "lost=0", "lost!0", "memory>GiB", "memory>1.2.3GiB",
	} {
		if _, err := ParseThreshold(text); !errors.Is(err, ErrThreshold) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Judge(example(), mustParse(t, "p99>1.2x")); !errors.Is(err, ErrThreshold) {
		t.Errorf("a ratio of one run: %v", err)
	}
}

func TestRunWithoutMessagesKeepsNoLimitOfLatency(t *testing.T) {
	outcomes, err := Judge(&load.Result{}, mustParse(t, "p99>1h", "throughput<1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if !o.Failed || o.Value != notMeasured {
			t.Errorf("%+v", o)
		}
	}
}

func TestMetricsHaveDifferentNamesThatThresholdsKnow(t *testing.T) {
	seen := make(map[string]bool)
	limits := map[unit]string{count: "1", duration: "1ms", size: "1MiB", share: "1%", rate: "1"}
	for _, m := range Metrics {
		if seen[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name] = true
		mustParse(t, m.Name+">"+limits[m.unit])
	}
}
