package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

// Every member gets every announcement once; a member that nobody hears holds up none.
func TestEveryMemberGetsEveryAnnouncement(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	network, err := jetstream.Open(ctx, jetstream.Options{Servers: []string{server.URL()}, Stream: jetstream.Stream{Create: true}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	engine, err := rookery.Open(ctx, rookery.Options{
		Dir: filepath.Join(dir, "members"), Unlock: rookery.KeyFile(filepath.Join(dir, "members.key")), Carrier: network, Events: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	args := []string{server.URL(), filepath.Join(dir, "announcer")}
	for range 3 {
		member, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, member.PublicKey().String())
	}
	var out bytes.Buffer
	if err := run(ctx, args, strings.NewReader("first\nsecond\n"), &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), ": on its way\n"); n != 6 {
		t.Errorf("%d of 6 are on their way: %s", n, out.String())
	}
	got := make(map[string]int)
	for e, err := range engine.Events(ctx) {
		if err != nil {
			t.Fatalf("got %v: %v", got, err)
		}
		if m, ok := e.(rookery.Message); ok {
			got[m.Identity.PublicKey().String()+" "+string(m.Payload)]++
			m.Ack()
		}
		if len(got) == 6 {
			break
		}
	}
	for what, n := range got {
		if n != 1 {
			t.Errorf("%s came %d times", what, n)
		}
	}
}

func TestAnnouncerSaysHowItIsUsed(t *testing.T) {
	if err := run(t.Context(), []string{"nats://127.0.0.1:4222"}, strings.NewReader(""), &bytes.Buffer{}); err == nil {
		t.Error("it ran without members")
	}
}
