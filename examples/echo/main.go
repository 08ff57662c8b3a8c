package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	network := must(jetstream.Open(ctx, jetstream.Options{Servers: os.Args[1:], Stream: jetstream.Stream{Create: true}}))
	engine := must(rookery.Open(ctx, rookery.Options{Dir: "echo-bot", Unlock: rookery.KeyFile("echo-bot.key"), Carrier: network, Events: true}))
	if len(engine.Identities()) == 0 { // the first start
		must(engine.CreateIdentity(ctx, rookery.NewIdentity{Name: "echo"}))
	}
	fmt.Println(engine.Identities()[0].PublicKey())
	for e, err := range engine.Events(ctx) {
		if m, ok := e.(rookery.Message); ok && err == nil {
			must(m.Identity.Send(ctx, m.Sender, append([]byte("echo: "), m.Payload...)))
			m.Ack() // only now: what it has not answered it is told again after a restart
		}
	}
	must(0, engine.Close(context.Background()))
}

func must[T any](result T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return result
}
