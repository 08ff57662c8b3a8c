package report

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestJSONTravels(t *testing.T) {
	r := &Report{Result: *example()}
	var err error
	if r.Thresholds, err = Judge(&r.Result, mustParse(t, "lost>0")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&b)
	if err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("%v\n%+v\n%+v", err, back, r)
	}
}

func TestOtherFilesAreNoReports(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", `{"format":99}`, "\x00", `{"format":1,"parameters":{"payload":"x"}}`} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrReport) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSummarySaysWhatMatters(t *testing.T) {
	r := &Report{Result: *example()}
	r.Thresholds, _ = Judge(&r.Result, mustParse(t, "lost>0", "p99>1s"))
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"990 messages/s", "from when it was meant to be sent", "p99.9 90.00 ms", "11,000", "10,998", "duplicate ",
		"100.0 µs per message", "921.6 KiB per identity", "460.8 KiB per session", "+10.0 %", "51.2 KiB per session", "500 B per message", "first message after 80.00 ms",
		"fail if lost>0                 FAILED, 2", "fail if p99>1s                 kept, 60.00 ms",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestComparisonMarksWhatGotWorse(t *testing.T) {
	before, after := &Report{Result: *example()}, &Report{Result: *example()}
	after.Throughput /= 2
	after.Delivery.P99 *= 2
	after.Durable.P99 /= 2
	after.Outcomes.Failed = 1
	after.Delivery.P90 += 100 * time.Microsecond // no more than runs differ
	worse := make(map[string]bool)
	for _, c := range Compare(&before.Result, &after.Result) {
		if c.Worse() {
			worse[c.Metric.Name] = true
		}
	}
	if want := map[string]bool{"throughput": true, "p99": true, "failed": true}; !reflect.DeepEqual(worse, want) {
		t.Errorf("worse: %v, want %v", worse, want)
	}
	outcomes := JudgeChange(&before.Result, &after.Result, mustParse(t, "p99>1.5x", "durable_p99>1.2x", "throughput<0.9x", "lost>5", "failed>3x"))
	for i, failed := range []bool{true, false, true, false, true} {
		if outcomes[i].Failed != failed {
			t.Errorf("%+v", outcomes[i])
		}
	}
	var b bytes.Buffer
	if err := WriteChanges(&b, before, after, outcomes); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"send to handler, p99                       60.00 ms      120.00 ms        2.00x  worse", "from none", "FAILED, 2.00x"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if after.Config.Seed = 2; strings.Contains(b.String(), "different runs") {
		t.Errorf("called different:\n%s", b.String())
	}
	after.Config.Identities = 7
	b.Reset()
	if err := WriteChanges(&b, before, after, nil); err != nil || !strings.Contains(b.String(), "different runs") {
		t.Errorf("%v, not called different:\n%s", err, b.String())
	}
}
