package sim

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "record the output of the scenarios anew")

// recorded separates a scenario from its output.
const recorded = "-- output --\n"

// TestScenarios proves that the scenarios of testdata go as recorded there. Each
// one says what it shows, and which threats it answers (T27, T34, T40,
// T41, T42, T44).
//
// Spec: 5.concurrent-sessions.2 5.re-keying.1 5.re-keying.2 5.pairing.3 5.pairing.5 5.pairing.7 5.pairing.8 5.partitioned-devices.1 5.partitioned-devices.2
// Spec: 5.account-recovery.1 5.failed-decryption.2 5.failed-decryption.3 5.dh-header.1 5.payload.3 5.security-considerations.1
// Spec: draft.expired-session.1 draft.expired-session.2 draft.expired-session.3 draft.stale-devices.1 draft.stale-devices.2 draft.stale-devices.3
// Spec: draft.contact-request.2 draft.contact-request.5 draft.contact-request.7 draft.contact-request.8 draft.contact-request.9 draft.contact-request.10
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			commands, want, _ := strings.Cut(string(text), recorded)
			lines, err := runScript(commands)
			got := strings.Join(lines, "\n") + "\n"
			if err != nil {
				t.Fatalf("%s\n%v", got, err)
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(commands+recorded+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("%s: line %d differs, to record it anew: go test ./internal/sim -run TestScenarios -rewrite\n%s", file, firstDifference(got, want), got)
			}
		})
	}
}

// firstDifference is the number of the first line that is not the same.
func firstDifference(a, b string) int {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			return i + 1
		}
	}
	return len(x) + 1
}
