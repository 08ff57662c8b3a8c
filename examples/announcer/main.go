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

var errUsage = errors.New("usage: announcer NATS-URL DIRECTORY MEMBER-KEY... <announcements")

// run announces each line of in to the members.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	if len(args) < 3 {
		return errUsage
	}
	var members []rookery.PublicKey
	for _, text := range args[2:] {
		member, err := rookery.ParsePublicKey(text)
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		members = append(members, member)
	}
	network, err := jetstream.Open(ctx, jetstream.Options{Servers: args[:1], Stream: jetstream.Stream{Create: true}})
	if err != nil {
		return err
	}
	engine, err := rookery.Open(ctx, rookery.Options{Dir: args[1], Unlock: rookery.KeyFile(args[1] + ".key"), Carrier: network})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	announcer, err := only(ctx, engine)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := announce(ctx, announcer, members, lines.Bytes(), out); err != nil {
			return err
		}
	}
	return lines.Err()
}

// only gives the identity of the engine, which is made with the first start.
func only(ctx context.Context, engine *rookery.Engine) (*rookery.Identity, error) {
	for _, i := range engine.Identities() {
		return i, nil
	}
	return engine.CreateIdentity(ctx, rookery.NewIdentity{Name: "announcer"})
}

// announce says for each member what became of one announcement. One that fails holds
// up no other.
func announce(ctx context.Context, from *rookery.Identity, members []rookery.PublicKey, text []byte, out io.Writer) error {
	for _, receipt := range from.SendGroup(ctx, members, text) {
		err := receipt.Err
		if err == nil {
			err = from.AwaitTaken(ctx, receipt.Member, receipt.ID)
		}
		said := "on its way"
		if err != nil {
			said = err.Error()
		}
		if _, err := fmt.Fprintf(out, "%v: %s\n", receipt.Member, said); err != nil {
			return err
		}
	}
	return ctx.Err()
}
