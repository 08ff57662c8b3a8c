package rookery_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/rookery-im/rookery"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

// Two identities in one process talk. Bob's answer is what gives Alice forward
// secrecy: she did not know his bundle before.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "rookery")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	received := make(chan rookery.Message)
	engine, err := rookery.Open(ctx, rookery.Options{
		Dir:       filepath.Join(dir, "store"),
		Unlock:    rookery.KeyFile(filepath.Join(dir, "key")),
		Transport: memnet.New(1, memnet.Faults{}),
		Handler: func(e rookery.Event) {
			if m, ok := e.(rookery.Message); ok {
				received <- m
				m.Ack()
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	alice, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		log.Fatal(err)
	}
	bob, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		log.Fatal(err)
	}

	if _, err := alice.Send(ctx, bob.PublicKey(), []byte("hello, Bob")); err != nil {
		log.Fatal(err)
	}
	m := <-received
	fmt.Printf("%s (forward secrecy: %v)\n", m.Payload, m.ForwardSecrecy)

	if _, err := m.Identity.Send(ctx, m.Sender, []byte("hello, whoever you are")); err != nil {
		log.Fatal(err)
	}
	m = <-received
	fmt.Printf("%s (forward secrecy: %v)\n", m.Payload, m.ForwardSecrecy)

	if err := engine.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello, Bob (forward secrecy: false)
	// hello, whoever you are (forward secrecy: true)
}

// A second device is heard of, approved by its user on the first one, and from
// then on contacts learn of it.
func ExampleIdentity_Approve() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "rookery")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	discovered := make(chan rookery.InstallationDiscovered, 10)
	engine, err := rookery.Open(ctx, rookery.Options{
		Dir:       filepath.Join(dir, "store"),
		Unlock:    rookery.KeyFile(filepath.Join(dir, "key")),
		Transport: memnet.New(1, memnet.Faults{}),
		Handler: func(e rookery.Event) {
			if d, ok := e.(rookery.InstallationDiscovered); ok && !d.Enabled {
				discovered <- d
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	phone, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		log.Fatal(err)
	}
	laptop, err := phone.AddInstallation(ctx)
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := laptop.Bundle(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := phone.TakeBundle(ctx, laptop.PublicKey(), bundle); err != nil {
		log.Fatal(err)
	}

	d := <-discovered
	for d.Identity != phone { // the laptop hears of the phone, too
		d = <-discovered
	}
	fmt.Println("the user is asked about the laptop:", d.Installation == laptop.InstallationID())
	if err := phone.Approve(ctx, d.Contact, d.Installation); err != nil {
		log.Fatal(err)
	}

	bundle, err = phone.Bundle(ctx)
	if err != nil {
		log.Fatal(err)
	}
	friend, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		log.Fatal(err)
	}
	if err := friend.TakeBundle(ctx, phone.PublicKey(), bundle); err != nil {
		log.Fatal(err)
	}
	receipt, err := friend.Send(ctx, phone.PublicKey(), []byte("hello, both of you"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a friend's message goes to", len(receipt.Installations), "devices")

	if err := engine.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// the user is asked about the laptop: true
	// a friend's message goes to 2 devices
}
