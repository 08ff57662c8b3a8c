package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// talker is one run of the program.
type talker struct {
	t    *testing.T
	in   *io.PipeWriter
	out  chan string // lines
	stop func()
}

func talk(ctx context.Context, t *testing.T, network, store string) talker {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	input, in := io.Pipe()
	output, out := io.Pipe()
	lines := make(chan string, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{network, store}, input, out)
		_ = out.Close() // never fails
	}()
	go func() {
		defer close(lines)
		for {
			var line strings.Builder
			for b := make([]byte, 1); ; {
				if _, err := output.Read(b); err != nil {
					return
				}
				if b[0] == '\n' {
					break
				}
				_ = line.WriteByte(b[0]) // never fails
			}
			lines <- line.String()
		}
	}()
	return talker{t, in, lines, func() {
		stop()
		_ = in.Close() // never fails
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}}
}

func (p talker) line() string {
	p.t.Helper()
	select {
	case line := <-p.out:
		return line
	case <-time.After(time.Minute):
		p.t.Fatal("nothing comes")
		return ""
	}
}

func (p talker) says(to, text string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, to, text); err != nil {
		p.t.Fatal(err)
	}
}

// Two who never run at the same time talk through a folder, and then two who do.
func TestTwoTalkThroughAFolder(t *testing.T) {
	dir := t.TempDir()
	network := filepath.Join(dir, "network")
	start := func(name string) (talker, string) {
		p := talk(t.Context(), t, network, filepath.Join(dir, name))
		key, ok := strings.CutPrefix(p.line(), "we are ")
		if !ok {
			t.Fatal("it does not say who it is")
		}
		return p, key
	}
	bob, bobKey := start("bob")
	bob.stop()
	alice, aliceKey := start("alice")
	alice.says(bobKey, "while you were away")
	if line := alice.line(); line != "sent" {
		t.Errorf("alice's program says %s", line)
	}
	alice.stop()
	bob, _ = start("bob")
	if line := bob.line(); line != aliceKey+` "while you were away"` {
		t.Errorf("bob reads %s", line)
	}
	alice, _ = start("alice")
	bob.says(aliceKey, "now we both are here")
	if line := bob.line(); line != "sent" {
		t.Errorf("bob's program says %s", line)
	}
	if line := alice.line(); line != bobKey+` "now we both are here"` {
		t.Errorf("alice reads %s", line)
	}
	bob.stop()
	alice.stop()
}

func TestFolderRefusesWhatIsNoMessage(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	publish := func(m carrier.Message) (taken error) {
		f.Publish(m, func(err error) { taken = err })
		return taken
	}
	good := carrier.Message{Topic: "/a", Payload: []byte("x"), Time: 1}
	if err := publish(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []carrier.Message{{Payload: []byte("x")}, {Topic: "/a"}, {Topic: "/a", Payload: make([]byte, carrier.MaxPayload+1)}} {
		if publish(bad) == nil {
			t.Errorf("%d bytes on %q were taken", len(bad.Payload), bad.Topic)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if publish(good) == nil {
		t.Error("a closed carrier has taken a message")
	}
}
