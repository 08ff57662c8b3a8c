package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fakeSpeaker in the environment makes every speaker one that keeps no promise.
const fakeSpeaker = "TORTURE_TEST_SPEAKER"

// speakFalsely is a speaker that sends nothing and says that it did.
func speakFalsely(as string) error {
	c := newChild(os.Stdout, os.Stderr)
	start, err := c.begun(os.Stdin)
	if err != nil || as == "dies" {
		return err
	}
	c.tell(frame{Kind: isReady, Side: start.Side, Payload: start.Payload, Text: "here"})
	c.tell(frame{Kind: isCard, Side: start.Side, Payload: []byte("card")})
	for n := 0; ; n++ {
		f, err := readFrame(os.Stdin)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case f.Kind == doMeet:
			c.tell(frame{Kind: isOpen, Side: start.Side})
		case f.Kind == doSend:
			id := "id"
			if as == "loses" {
				id = start.Side.String() + strconv.Itoa(n)
			}
			c.tell(frame{Kind: isSent, Side: start.Side, ID: id, Payload: f.Payload})
		case f.Kind == doLook:
			c.tell(frame{Kind: isLeft, Side: start.Side})
		}
	}
}

// A short slice of what "make networks" does.
func TestTwoProcessesExchangeMessagesWhileEachIsKilled(t *testing.T) {
	for _, test := range []struct{ network, restarts, kept string }{
		{natsNetwork, "1", "server"},
		{wakuNetwork, "2", "store"},
	} {
		t.Run(test.network, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := []string{"exchange", "--network=" + test.network, "--messages=400", "--kills=2", "--restarts=" + test.restarts}
			status, out, errors := torture(t.Context(), append(args, "--dir="+dir)...)
			if status != 0 {
				t.Fatalf("repeat: go run ./cmd/torture %s\nstatus %d: %s\n%s", strings.Join(args, " "), status, errors, out)
			}
			for _, want := range []string{
				`acknowledged +400: 200 of alice, 200 of bob\n`, `kills of alice +2, after`, `kills of bob +2, after`,
				`kills of the ` + test.kept + ` +` + test.restarts + `, after`,
				`lost +0\n`, `duplicate +0\n`, `foreign +0\n`, `stuck +0\n`, `failure +0\n`,
			} {
				if !regexp.MustCompile(want).MatchString(out) {
					t.Errorf("no %q in %s", want, out)
				}
			}
			if told := regexp.MustCompile(`messages told +([0-9]+)`).FindStringSubmatch(out); told == nil {
				t.Errorf("nothing was told: %s", out)
			} else if n, err := strconv.Atoi(told[1]); err != nil || n < 400 {
				t.Errorf("%s messages were told, %v", told[1], err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestExchangeSeesPromisesThatAreNotKept(t *testing.T) {
	for _, test := range []struct{ speaker, want string }{
		{"loses", `lost +40\n`},
		{"repeats", `duplicate +[1-9]`},
		{"dies", `failure +[1-9]`},
	} {
		t.Run(test.speaker, func(t *testing.T) {
			t.Setenv(fakeSpeaker, test.speaker)
			dir := t.TempDir()
			status, out, errors := torture(t.Context(), "exchange", "--network=nats", "--messages=40", "--kills=0", "--restarts=0", "--patience=1s", "--dir="+dir)
			if status != exitViolation || !regexp.MustCompile(test.want).MatchString(out) ||
				!strings.Contains(out, "repeat: go run ./cmd/torture exchange --network=nats --first=1 --messages=40 --kills=0 --restarts=0\n") {
				t.Errorf("status %d: %s\n%s", status, errors, out)
			}
			if kept, err := filepath.Glob(filepath.Join(dir, "torture-nats-1-*", "history.txt")); err != nil || len(kept) != 1 {
				t.Errorf("kept: %v, %v", kept, err)
			}
		})
	}
}

// What keeps the messages comes back where it was, also if its port was somebody
// else's for a moment.
func TestKeeperWaitsForItsPort(t *testing.T) {
	for _, network := range []string{natsNetwork, wakuNetwork} {
		dir := t.TempDir()
		if err := os.WriteFile(archiveIn(dir), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := taken.Addr().String()
		r := reach{Network: network, Address: "nats://" + address, History: address}
		if _, err := r.serve(dir); !inUse(err) {
			t.Errorf("%s at a port in use: %v", network, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var said journal
		p, err := startProcess(ctx, keeperCommand, &said)
		if err != nil {
			t.Fatal(err)
		}
		p.tell(frame{Kind: doServe, Reach: &r, Text: dir})
		time.AfterFunc(300*time.Millisecond, func() { _ = taken.Close() })
		at := ""
		for f := range p.frames {
			at = f.Text
			p.out.close()
		}
		if err := p.wait(); err != nil || !strings.HasSuffix(at, address) {
			t.Errorf("%s serves at %q, want %s: %v\n%s", network, at, address, err, said.bytes())
		}
		cancel()
	}
}

func TestProcessesOfAnExchangeEndWithTheirParent(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(archiveIn(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := reach{Network: natsNetwork, Address: "nats://127.0.0.1:1"}
	for _, test := range []struct {
		as, says string
		tell     frame
	}{
		{keeperCommand, isServing, frame{Kind: doServe, Reach: &reach{Network: natsNetwork}, Text: dir}},
		{keeperCommand, isServing, frame{Kind: doServe, Reach: &reach{Network: wakuNetwork}, Text: dir}},
		{speakerCommand, isCard, frame{Kind: doStart, Plan: &plan{Bound: time.Hour}, Reach: &nowhere, Text: dir, Payload: []byte(strings.Repeat("k", 32))}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var said journal
		p, err := startProcess(ctx, test.as, &said)
		if err != nil {
			t.Fatal(err)
		}
		p.tell(test.tell)
		is := false
		for f := range p.frames {
			if f.Kind == test.says {
				is = true
				p.out.close() // as the end of this process would
			}
		}
		if err := p.wait(); err != nil || !is {
			t.Errorf("%s: %v, has said %q: %t\n%s", test.as, err, test.says, is, said.bytes())
		}
		cancel()
	}
}

func TestKillsAreSpreadOverTheMessages(t *testing.T) {
	const kills, messages = 20, 5000
	for seed := range uint64(20) {
		all := moments(kills, messages, newDice(seed))
		if len(all) != kills {
			t.Fatalf("seed %d: %d kills", seed, len(all))
		}
		for i, at := range all {
			if part := messages / kills; at < i*part || at >= (i+1)*part {
				t.Errorf("seed %d: kill %d after %d messages", seed, i, at)
			}
		}
	}
	if got := spread([]int{50, 60, 190}, 200, "all"); got != "3, after 25 30 95 % of all, at most 130 messages apart" {
		t.Errorf("shown as %q", got)
	}
	if got := moments(3, 2, newDice(1)); len(got) != 3 || got[2] > 1 {
		t.Errorf("more kills than messages: %v", got)
	}
}

func TestArchiveReadsOnlyWholeLines(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(archiveIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }() // a test's own file
	a, err := openArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.file.Close() }() // only read
	line := func(n int) string {
		return `{"PubsubTopic":"p","ContentTopic":"t","Payload":"aGk=","Time":` + strconv.Itoa(n) + "}\n"
	}
	for i, step := range []struct {
		text string
		want int
	}{{"", 0}, {line(1) + line(2), 2}, {line(3)[:20], 2}, {line(3)[20:] + line(4), 4}} {
		if _, err := out.WriteString(step.text); err != nil {
			t.Fatal(err)
		}
		if err := a.catchUp(); err != nil || a.node.Stored() != step.want {
			t.Errorf("step %d: %d messages, want %d: %v", i, a.node.Stored(), step.want, err)
		}
	}
	if _, err := out.WriteString("nonsense\n"); err != nil {
		t.Fatal(err)
	}
	if err := a.catchUp(); err == nil {
		t.Error("nonsense is taken for a message")
	}
}
