package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

// patience is how long the whole test may take: it makes 1,000 identities.
const patience = 5 * time.Minute

// Somebody writes to some of 1,000 puppets and is answered by each; the bridge is the
// same after it was started again.
func TestAThousandPuppetsAreBridged(t *testing.T) {
	const puppets, spoken = 1000, 20
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	dir := t.TempDir()
	person := newPerson(ctx, t, server.URL(), filepath.Join(dir, "person"))

	b := startBridge(ctx, t, server.URL(), filepath.Join(dir, "bridge"))
	keys := b.puppets(puppets)
	for n := range spoken {
		name := fmt.Sprintf("puppet-%04d", n*puppets/spoken)
		if _, err := person.Send(ctx, keys[name], []byte("to "+name)); err != nil {
			t.Fatal(err)
		}
	}
	for range spoken {
		fields := strings.SplitN(b.line(), " ", 3)
		if fields[1] != person.PublicKey().String() || fields[2] != fmt.Sprintf("%q", "to "+fields[0]) {
			t.Errorf("the bridge says %q", fields)
		}
		b.says(fmt.Sprintf("%s %v from %s", fields[0], person.PublicKey(), fields[0]))
	}
	names := make(map[rookery.PublicKey]string)
	for name, key := range keys {
		names[key] = name
	}
	got := make(map[string]bool)
	for e, err := range person.engine.Events(ctx) {
		if err != nil {
			t.Fatalf("%d of %d have answered: %v", len(got), spoken, err)
		}
		if m, ok := e.(rookery.Message); ok {
			if want := "from " + names[m.Sender]; string(m.Payload) != want {
				t.Errorf("%q of %s", m.Payload, names[m.Sender])
			}
			got[names[m.Sender]] = true
			m.Ack()
		}
		if len(got) == spoken {
			break
		}
	}
	b.stop()

	b = startBridge(ctx, t, server.URL(), filepath.Join(dir, "bridge"))
	for name, key := range b.puppets(puppets) {
		if keys[name] != key {
			t.Errorf("%s is another one", name)
		}
	}
	b.stop()
}

type person struct {
	*rookery.Identity

	engine *rookery.Engine
}

func newPerson(ctx context.Context, t *testing.T, url, dir string) person {
	t.Helper()
	network, err := jetstream.Open(ctx, jetstream.Options{Servers: []string{url}, Stream: jetstream.Stream{Create: true}})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := rookery.Open(ctx, rookery.Options{Dir: dir, Unlock: rookery.KeyFile(dir + ".key"), Carrier: network, Events: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	i, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		t.Fatal(err)
	}
	return person{i, engine}
}

// running is one run of the program.
type running struct {
	t    *testing.T
	in   *io.PipeWriter
	out  *bufio.Scanner
	stop func()
}

func startBridge(ctx context.Context, t *testing.T, url, dir string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	input, in := io.Pipe()
	output, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{url, dir}, input, out)
		_ = out.CloseWithError(err) // never fails
		ended <- err
	}()
	return running{t, in, bufio.NewScanner(output), func() {
		t.Helper()
		cancel()
		_ = in.Close() // never fails
		if err := <-ended; err != nil {
			t.Errorf("the bridge has ended with %v", err)
		}
	}}
}

func (r running) line() string {
	r.t.Helper()
	if !r.out.Scan() {
		r.t.Fatalf("the bridge says no more: %v", r.out.Err())
	}
	return r.out.Text()
}

func (r running) says(line string) {
	r.t.Helper()
	if _, err := fmt.Fprintln(r.in, line); err != nil {
		r.t.Fatal(err)
	}
}

// puppets reads who there are.
func (r running) puppets(n int) map[string]rookery.PublicKey {
	r.t.Helper()
	keys := make(map[string]rookery.PublicKey)
	for range n {
		name, text, _ := strings.Cut(r.line(), " is ")
		key, err := rookery.ParsePublicKey(text)
		if err != nil {
			r.t.Fatal(err)
		}
		keys[name] = key
	}
	return keys
}
