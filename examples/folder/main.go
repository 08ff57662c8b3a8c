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
	"strings"

	"github.com/rookery-im/rookery"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

var errUsage = errors.New("usage: folder NETWORK-FOLDER STORE-DIRECTORY; then lines: KEY TEXT")

// run talks until ctx ends.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	if len(args) != 2 {
		return errUsage
	}
	network, err := openFolder(args[0])
	if err != nil {
		return err
	}
	engine, err := rookery.Open(ctx, rookery.Options{Dir: args[1], Unlock: rookery.KeyFile(args[1] + ".key"), Carrier: network, Events: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	if len(engine.Identities()) == 0 {
		if _, err := engine.CreateIdentity(ctx, rookery.NewIdentity{}); err != nil {
			return err
		}
	}
	us := engine.Identities()[0]
	if _, err := fmt.Fprintf(out, "we are %v\n", us.PublicKey()); err != nil {
		return err
	}
	go say(ctx, us, in, out)
	for e, err := range engine.Events(ctx) {
		if m, ok := e.(rookery.Message); ok && err == nil {
			if _, err := fmt.Fprintf(out, "%v %q\n", m.Sender, m.Payload); err != nil {
				return err
			}
			m.Ack()
		}
	}
	return nil
}

// say sends what is read, and tells when the network has it.
func say(ctx context.Context, us *rookery.Identity, in io.Reader, out io.Writer) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		key, text, _ := strings.Cut(lines.Text(), " ")
		to, err := rookery.ParsePublicKey(key)
		var receipt rookery.Receipt
		if err == nil {
			receipt, err = us.Send(ctx, to, []byte(text))
		}
		if err == nil {
			err = us.AwaitTaken(ctx, to, receipt.ID)
		}
		if err == nil {
			_, err = fmt.Fprintln(out, "sent")
		}
		if err != nil {
			log.Print(err)
		}
	}
}
