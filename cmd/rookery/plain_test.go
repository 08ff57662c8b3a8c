package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// Objects say the same as before, and nothing in them controls a terminal: JSON alone
// lets DEL, the controls from 80 to 9f and those of the direction of writing through.
func TestJSONDoesNotControlTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"Zoë 名前 👋 <&>":         `"Zoë 名前 👋 <&>"`,
		"\x1b[2J\a":            `"\u001b[2J\u0007"`,
		"a\u009b31mb\u0085":    `"a\u009b31mb\u0085"`,
		"\x7f\u202e\u2066":     `"\u007f\u202e\u2066"`,
		"\U000e0041\u2028\"\\": `"\udb40\udc41\u2028\"\\"`,
		"two\nlines":           `"two\nlines"`,
	} {
		var b bytes.Buffer
		if err := writeJSON(&b, text); err != nil || b.String() != want+"\n" {
			t.Errorf("%q is written as %q, want %q (%v)", text, b.String(), want, err)
		}
		var back string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || back != text {
			t.Errorf("%q is read as %q (%v)", text, back, err)
		}
	}
	var b bytes.Buffer
	var all []rune
	for r := range rune(0x10000) {
		all = append(all, r, 0xe0000+r) // the tags stand in the second of these planes
	}
	if err := writeJSON(&b, string(all)); err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSuffix(b.String(), "\n")
	if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%q is let through", line[i:i+4])
	}
}

// What a network has answered does not control the terminal either, and the program
// does not say its name twice.
func TestErrorsDoNotControlTheTerminal(t *testing.T) {
	err := errors.Join(
		fmt.Errorf("rookery: first: %w", errors.New("a node says \x1b]0;title\a\r\u009b2J")),
		errors.New("second \u202e"),
	)
	if got, want := said(err), `first: a node says \x1b]0;title\a\r\u009b2J`+"\n"+`second \u202e`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	status, _, errors := command(t, "contact", "add", "--dir=x\x1b[2J", "--image=no\x1b[2Jsuch", "--json")
	if status != exitError || strings.Contains(errors, "\x1b") || !strings.Contains(errors, `no\x1b[2Jsuch`) {
		t.Errorf("status %d: %q", status, errors)
	}
}

// A phrase is left only where there is, or may be, an identity that it is of.
func TestPhrasesOfNobodyAreNotLeft(t *testing.T) {
	p := newPerson(t)
	p.new("--name=alice")
	path := filepath.Join(t.TempDir(), "phrase")
	for _, c := range []struct {
		says string
		args []string
	}{
		{`there is one called "alice"`, []string{"--name=alice"}},
		{"printable text", []string{"--name=\x1b[2J"}},
		{"is no kind of network", []string{"--transport=bogus"}},
	} {
		p.fails(exitError, c.says, append([]string{"identity", "create", "--phrase-to=" + path}, c.args...)...)
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Fatalf("%v: a phrase is left: %v", c.args, err)
		}
	}
	if len(p.objects("identity", "list")) != 1 {
		t.Error("there are more identities")
	}
}

// A device does not approve or disable itself, and says so.
func TestTheDeviceOfTheStoreIsNotDisabled(t *testing.T) {
	p := newPerson(t)
	p.new()
	own := p.object("device", "list")["installation"].(string)
	for _, command := range []string{"approve", "disable"} {
		p.fails(exitError, "the device of this store", "device", command, own[:8])
		p.fails(exitError, "rookery device list shows those that are known", "device", command, "zzzzzzzz")
	}
}
