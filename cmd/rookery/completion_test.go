package main

import (
	"context"
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

// shell is one that this machine has, with a command "rookery" that is this test's own
// program.
func shell(t *testing.T, name string) (run func(args ...string) string, ok bool) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if name == "bash" && os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Logf("there is no %s: nothing is tested", name)
		return nil, false
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	home, bin := t.TempDir(), t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "rookery")); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), testPatience)
		defer cancel()
		run := exec.CommandContext(ctx, path, args...)
		run.Dir = home
		run.Env = append(os.Environ(), mainVariable+"=1", "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+home, "ZDOTDIR="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "TERM=dumb")
		out, err := run.CombinedOutput()
		if err != nil {
			t.Errorf("%s %q: %v: %s", name, args, err, out)
		}
		return string(out)
	}, true
}

// bash, with what the command prints, completes commands, flags and values.
func TestBashCompletes(t *testing.T) {
	bash, ok := shell(t, "bash")
	if !ok {
		return
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
		script := `source <(rookery completion bash) || exit 1
complete -p rookery | grep -q -- '-F _rookery' || exit 1
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _rookery; printf '%s\n' "${COMPREPLY[@]}"`
		out := bash(append([]string{"--norc", "-c", script, "bash"}, strings.Split(line, "|")...)...)
		if got := strings.Join(strings.Fields(out), " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// fish completes what is on a command line that is asked for.
func TestFishCompletes(t *testing.T) {
	fish, ok := shell(t, "fish")
	if !ok {
		return
	}
	for line, want := range map[string]string{
		"rookery sto":                       "store",
		"rookery store c":                   "check",
		"rookery store ":                    "backup check passwd rekey restore stats",
		"rookery serve --log-fo":            "--log-format",
		"rookery serve --log-format ":       "json text",
		"rookery serve --log-format=j":      "--log-format=json",
		"rookery send --to 'a b' --wai":     "--wait",
		"rookery session explain a-file":    "a-file.txt",
		"rookery session explain something": "",
	} {
		script := "rookery completion fish | source; or exit 1; touch a-file.txt; complete -C $argv[1] | string replace -r '\\t.*' ''; true"
		out := fish("--no-config", "-c", script, line)
		if got := strings.Join(strings.Fields(out), " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// zsh completes what is typed on a terminal, with a script that was sourced, and with one
// that lies where zsh looks for such.
func TestZshCompletes(t *testing.T) {
	zsh, ok := shell(t, "zsh")
	if !ok {
		return
	}
	// The inner zsh has a terminal. A key behind the one that completes shows the line.
	const terminal = `zmodload zsh/zpty || exit 1
zpty inner zsh -f -i
zpty -w inner "PS1= PS2=; stty -echo; unsetopt prompt_cr prompt_sp; $2"
zpty -w inner 'shown() { print -r -- "<${BUFFER}>"; exit; }; zle -N shown; bindkey "^X" shown; bindkey "^I" complete-word; print ready''; print now'
zpty -r inner out $'*ready\r\nnow*' || exit 1
zpty -w -n inner "$1"$'\t\x18'
zpty -r inner out '*<*>*' || exit 1
print -r -- "${${out##*<}%%>*}"`
	const sourced = `autoload -Uz compinit; compinit -u -D; source <(rookery completion zsh)`
	const found = `mkdir -p functions; rookery completion zsh >functions/_rookery; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D`
	for _, begin := range []string{sourced, found} {
		for line, want := range map[string]string{
			"rookery sto":                    "rookery store ",
			"rookery store c":                "rookery store check ",
			"rookery serve --log-fo":         "rookery serve --log-format ",
			"rookery serve --log-format=j":   "rookery serve --log-format=json ",
			"rookery serve --log-format te":  "rookery serve --log-format text ",
			"rookery send --to 'a b' --wai":  "rookery send --to 'a b' --wait ",
			"rookery session explain a-fi":   "rookery session explain a-file.txt ",
			"rookery session explain nobody": "rookery session explain nobody",
		} {
			out := zsh("-f", "-c", "touch a-file.txt\n"+terminal, "zsh", line, begin)
			if got := strings.TrimSuffix(out, "\n"); got != want {
				t.Errorf("%s: %q, want %q", line, got, want)
			}
		}
	}
}
