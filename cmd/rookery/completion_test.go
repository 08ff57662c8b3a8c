package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWordsAreCompleted(t *testing.T) {
	for line, want := range map[string]string{
		"stor":                                "store",
		"store ":                              "backup check passwd rekey restore stats",
		"store ch":                            "check",
		"store check --j":                     "--json",
		"completion ":                         "bash fish zsh",
		"completion z":                        "zsh",
		"serve --log-format ":                 "json text",
		"serve --log-format=":                 "--log-format=json --log-format=text",
		"serve --log-format=j":                "--log-format=json",
		"serve --log-format = j":              "json", // as bash has it
		"serve --log-format = ":               "json text",
		"serve --json --log-format":           "--log-format",
		"identity create --na":                "--name",
		"send --to store ch":                  "", // the value of a flag is no command
		"identity --help create --phrase-":    "--phrase-to",
		"store check some-directory --key-fi": "--key-file",
		"doctor --anchor ":                    "", // a file
		"no-such-command ":                    commandNames(),
		"--no-such-flag":                      "",
	} {
		status, out, errors := command(t, append([]string{completeWords}, strings.Split(line, " ")...)...)
		if got := strings.Join(strings.Fields(out), " "); status != 0 || errors != "" || got != want {
			t.Errorf("%q: status %d, %q, want %q %s", line, status, got, want, errors)
		}
	}
	if status, out, _ := command(t, completeWords); status != 0 || !slices.Contains(strings.Fields(out), "doctor") {
		t.Errorf("nothing: status %d: %s", status, out)
	}
}

func commandNames() string {
	return "bench completion contact demo device doctor health identity listen load replay send serve session store token version webhook"
}

// bash, with what the command prints, completes commands, flags and values.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Log("there is no bash: nothing is tested")
		return
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "rookery")); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"rookery|sto":                      "store",
		"rookery|store|c":                  "check",
		"rookery|serve|--log-fo":           "--log-format",
		"rookery|serve|--log-format|=":     "json text",
		"rookery|serve|--log-format|=|j":   "json",
		"rookery|send|--to|a b|--wai":      "--wait",
		"rookery|session|explain|nothing ": "",
	} {
		words := strings.Split(line, "|")
		script := `source <(rookery completion bash) || exit 1
complete -p rookery | grep -q -- '-F _rookery' || exit 1
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _rookery; printf '%s\n' "${COMPREPLY[@]}"`
		run := exec.CommandContext(t.Context(), bash, append([]string{"--norc", "-c", script, "bash"}, words...)...)
		run.Env = append(os.Environ(), mainVariable+"=1", "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := run.CombinedOutput()
		if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != want {
			t.Errorf("%s: %q, want %q: %v", line, got, want, err)
		}
	}
}

// What other shells are given they take, where there is one.
func TestOtherShellsTakeTheirCompletion(t *testing.T) {
	for _, shell := range []string{"zsh", "fish"} {
		_, script, _ := command(t, "completion", shell)
		if !strings.Contains(script, completeWords) {
			t.Errorf("%s: %s", shell, script)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("there is no %s: its script is not run", shell)
			continue
		}
		run := exec.CommandContext(t.Context(), path, "-n")
		run.Stdin = strings.NewReader(script)
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}
