package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const recordings = "../../testdata/recordings"

// folderOf copies a few recordings into a folder of their own. All of them are
// replayed in the tests of internal/replay.
func folderOf(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(recordings, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// replayed runs the command line and gives its exit status and output.
func replayed(t *testing.T, args ...string) (status int, out string) {
	t.Helper()
	status, out, _ = command(t, append([]string{"replay"}, args...)...)
	return status, out
}

func TestReplayExitStatus(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := filepath.Join(recordings, "sessions", "restart.json")
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	plaintext := regexp.MustCompile(`"plaintext": *"`).FindString(string(data))
	altered := write("altered.json", strings.Replace(string(data), plaintext, plaintext+"00", 1))
	broken := write("broken.json", `{"schema":`)
	transport := folderOf(t, "transport/layers.json", "transport/message.json")
	messages, err := os.ReadFile(filepath.Join(transport, "message.json"))
	if err != nil {
		t.Fatal(err)
	}
	forged := write("forged.json", strings.Replace(string(messages), `"hash": "1f`, `"hash": "2f`, 1))
	unknown := write("unknown.json", strings.Replace(string(messages), `"hash"`, `"digest"`, 1))
	for _, c := range []struct {
		name  string
		paths []string
		want  int
	}{
		{"equal", []string{good}, 0},
		{"explained", []string{filepath.Join(recordings, "sessions", "duplicates.json")}, 0},
		{"altered", []string{altered}, exitBadResult},
		{"altered beside a good one", []string{good, altered}, exitBadResult},
		{"malformed", []string{broken}, exitError},
		{"malformed beside a good one", []string{good, broken}, exitError},
		{"transport vectors", []string{transport}, 0},
		{"altered transport vectors", []string{transport, forged}, exitBadResult},
		{"transport vectors with an unknown field", []string{unknown}, exitError},
		{"missing", []string{filepath.Join(dir, "none.json")}, exitError},
		{"index only", []string{filepath.Join(recordings, "INDEX.json")}, exitError},
		{"nothing named", nil, exitError},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, out := replayed(t, c.paths...); got != c.want {
				t.Errorf("status %d, want %d:\n%s", got, c.want, out)
			}
		})
	}
}

func TestReplayText(t *testing.T) {
	_, out := replayed(t, filepath.Join(recordings, "INDEX.json"), filepath.Join(recordings, "sessions", "duplicates.json"))
	for _, want := range []string{"INDEX.json: skipped", "step 15 decrypt B1: D-replay", "total of 1 files", "; 0 differ", "full rules", "40 steps agreed, 0 not applicable, 0 differ; otherwise: D-replay 4"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// What is left out of transport vectors is counted, with the reason.
func TestReplayTextSaysWhatIsLeftOut(t *testing.T) {
	_, out := replayed(t, filepath.Join(recordings, "transport", "layers.json"))
	for _, want := range []string{"layers.json: 15 plaintexts, 51 wire bytes", "8 not supported: MVDS", "5 not supported: the application's frame"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestReplayJSON(t *testing.T) {
	folder := folderOf(t, "INDEX.json", "sessions/duplicates.json", "sessions/shared_secret.json", "sessions/simultaneous.json")
	status, out := replayed(t, "--json", folder)
	var result struct {
		Files []struct {
			Path  string
			Steps []struct {
				Checks []struct{ What, Status, Deviation string }
			}
			Rules []struct{ Status string }
		}
		Skipped []struct{ Path string }
		Total   struct {
			Differs   int
			Explained map[string]int
		}
		Rules struct {
			Differs   int
			Otherwise map[string]int
		}
		OK bool
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	if status != 0 || !result.OK || len(result.Files) != 3 || len(result.Skipped) != 1 || result.Total.Differs != 0 || result.Total.Explained["D-replay"] != 5 {
		t.Errorf("status %d, ok %t, %d files, %d skipped, %+v", status, result.OK, len(result.Files), len(result.Skipped), result.Total)
	}
	if rules := result.Rules; rules.Differs != 0 || rules.Otherwise["R-smaller-key"] != 1 || len(result.Files[0].Rules) == 0 {
		t.Errorf("rules: %+v", rules)
	}
	if steps := result.Files[0].Steps; len(steps) == 0 || len(steps[0].Checks) == 0 || steps[0].Checks[0].Status != "equal" {
		t.Errorf("steps are missing: %+v", steps)
	}
}
