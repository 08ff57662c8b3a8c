package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

var errUsage = errors.New("usage: bridge NATS-URL DIRECTORY [PUPPETS]")

// run bridges until ctx ends.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	if len(args) < 2 {
		return errUsage
	}
	puppets := 1000
	if len(args) > 2 {
		if puppets, err = strconv.Atoi(args[2]); err != nil {
			return errors.Join(errUsage, err)
		}
	}
	network, err := jetstream.Open(ctx, jetstream.Options{Servers: args[:1], Stream: jetstream.Stream{Create: true}})
	if err != nil {
		return err
	}
	engine, err := rookery.Open(ctx, rookery.Options{
		Dir: args[1], Unlock: rookery.KeyFile(args[1] + ".key"), Carrier: network,
		// A handler and not a loop: puppets are handled side by side.
		Handler: toLines(out),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	hosted, err := host(ctx, engine, puppets)
	if err != nil {
		return err
	}
	for name, puppet := range hosted {
		if _, err := fmt.Fprintf(out, "%s is %v\n", name, puppet.PublicKey()); err != nil {
			return err
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- fromLines(ctx, hosted, in) }()
	select {
	case err := <-failed:
		if err != nil {
			return err
		}
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

// creations is how many puppets are made at a time: what they write shares commits.
const creations = 64

// host gives the puppets by name. Those that the store does not have are made.
func host(ctx context.Context, engine *rookery.Engine, puppets int) (map[string]*rookery.Identity, error) {
	hosted := make(map[string]*rookery.Identity)
	for _, i := range engine.Identities() {
		hosted[i.Name()] = i
	}
	var (
		mu     sync.Mutex
		made   []*rookery.Identity
		failed error
		makers sync.WaitGroup
		names  = make(chan string)
	)
	for range creations {
		makers.Go(func() {
			for name := range names {
				puppet, err := engine.CreateIdentity(ctx, rookery.NewIdentity{Name: name})
				mu.Lock()
				if made = append(made, puppet); err != nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	for n := range puppets {
		if name := fmt.Sprintf("puppet-%04d", n); hosted[name] == nil {
			names <- name
		}
	}
	close(names)
	makers.Wait()
	if failed != nil {
		return nil, failed
	}
	for _, puppet := range made {
		hosted[puppet.Name()] = puppet
	}
	return hosted, nil
}

// toLines gives the handler that hands messages to the other network. Those of one
// puppet come one after the other, those of different ones at once.
func toLines(out io.Writer) func(rookery.Event) {
	var mu sync.Mutex
	return func(e rookery.Event) {
		m, ok := e.(rookery.Message)
		if !ok {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if _, err := fmt.Fprintf(out, "%s %v %q\n", m.Identity.Name(), m.Sender, m.Payload); err == nil {
			m.Ack() // else it comes again after the next start
		}
	}
}

// fromLines says what comes from the other network.
func fromLines(ctx context.Context, puppets map[string]*rookery.Identity, in io.Reader) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), " ", 3)
		if len(fields) < 3 || puppets[fields[0]] == nil {
			log.Printf("not understood: %q", lines.Text())
			continue
		}
		contact, err := rookery.ParsePublicKey(fields[1])
		if err == nil {
			_, err = puppets[fields[0]].Send(ctx, contact, []byte(fields[2]))
		}
		if err != nil {
			log.Printf("%s: %v", fields[0], err)
		}
	}
	return lines.Err()
}
