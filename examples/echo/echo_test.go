package main

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

// patience is how long anything may take before the test gives up on it.
const patience = time.Minute

// maxLines is how long the whole of a bot may be.
const maxLines = 15

// A bot is short, from opening the network to closing the store.
func TestBotIsShort(t *testing.T) {
	fileSet := token.NewFileSet()
	file, err := parser.ParseFile(fileSet, "main.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "main" {
			lines := fileSet.Position(f.Body.Rbrace).Line - fileSet.Position(f.Body.Lbrace).Line - 1
			if lines > maxLines {
				t.Errorf("%d lines, more than %d", lines, maxLines)
			}
			return
		}
	}
	t.Fatal("there is no main")
}

// build makes a program of this module.
func build(t *testing.T, folder string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	said, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, folder).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return binary
}

// Whoever knows the bot's key writes to it with the command line and is answered, also
// by a bot that was started again.
func TestBotAnswersTheCommandLine(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	bot, rookery := build(t, "."), build(t, "../../cmd/rookery")
	home, alice := t.TempDir(), t.TempDir()

	does := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c := exec.CommandContext(ctx, rookery, append(args, "--json")...)
		c.Env = append(os.Environ(),
			"ROOKERY_TRANSPORT="+server.URL(), "ROOKERY_DIR="+filepath.Join(alice, "store"), "ROOKERY_KEY_FILE="+filepath.Join(alice, "key"))
		var stderr bytes.Buffer
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			t.Fatalf("rookery %s: %v: %s", strings.Join(args, " "), err, &stderr)
		}
		return string(out)
	}
	var key string
	for _, text := range []string{"hello", "and again"} {
		stop := start(t, bot, home, server.URL(), func(line string) {
			if key != "" && line != key {
				t.Errorf("the bot is %s now, it was %s", line, key)
			}
			key = line
		})
		if text == "hello" {
			does("identity", "create")
			does("contact", "add", key)
		}
		does("send", "--to="+key, text)
		var got struct{ Event, From, Text string }
		for line := range strings.Lines(does("listen", "--count=1", "--for=1m")) {
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatal(err)
			}
			if got.Event == "message" {
				break
			}
		}
		if got.From != key || got.Text != "echo: "+text {
			t.Errorf("the answer is %+v", got)
		}
		stop()
	}
}

// start runs the bot and waits for its first line.
func start(t *testing.T, bot, home, url string, said func(line string)) (stop func()) {
	t.Helper()
	c := exec.CommandContext(t.Context(), bot, url)
	c.Dir = home
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 67)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	said(strings.TrimSpace(string(line[:n])))
	return func() {
		t.Helper()
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("the bot has ended with %v: %s", err, &stderr)
		}
	}
}
