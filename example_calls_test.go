package rookery_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

// examplePeople opens an engine in memory with an identity for each name.
func examplePeople(ctx context.Context, options rookery.Options, names ...string) (*rookery.Engine, []*rookery.Identity) {
	options.Store, options.Transport = memstore.New(), memnet.New(1, memnet.Faults{})
	engine, err := rookery.Open(ctx, options)
	if err != nil {
		log.Fatal(err)
	}
	var people []*rookery.Identity
	for _, name := range names {
		i, err := engine.CreateIdentity(ctx, rookery.NewIdentity{Name: name})
		if err != nil {
			log.Fatal(err)
		}
		people = append(people, i)
	}
	return engine, people
}

// A loop over the events: the program asks for them, and is not called. What it has
// not acknowledged comes again after the next Open.
func ExampleEngine_Events() {
	ctx := context.Background()
	engine, people := examplePeople(ctx, rookery.Options{Events: true}, "alice", "bob")
	alice, bob := people[0], people[1]
	if _, err := alice.Send(ctx, bob.PublicKey(), []byte("hello")); err != nil {
		log.Fatal(err)
	}
	for e, err := range engine.Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if m, ok := e.(rookery.Message); ok {
			fmt.Printf("%s got %q\n", m.Identity.Name(), m.Payload)
			m.Ack()
			break
		}
	}
	if err := engine.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// bob got "hello"
}

// A contact code is shown as a QR code, or sent by another way. Who has taken it writes
// with forward secrecy from the first message on.
func ExampleIdentity_TakeContactCode() {
	ctx := context.Background()
	engine, people := examplePeople(ctx, rookery.Options{}, "alice", "bob")
	alice, bob := people[0], people[1]
	code, err := bob.ContactCode(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(code[:10])
	contact, err := alice.TakeContactCode(ctx, code)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := alice.Send(ctx, contact, []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("forward secrecy:", receipt.ForwardSecrecy)
	if err := engine.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ROOKERY:1:
	// forward secrecy: true
}

// A group is who is in it: each member gets a message of its own, and one that cannot be
// written to holds up no other.
func ExampleIdentity_SendGroup() {
	ctx := context.Background()
	engine, people := examplePeople(ctx, rookery.Options{}, "alice", "bob", "carol", "dave")
	alice := people[0]
	var members []rookery.PublicKey
	for _, i := range people {
		members = append(members, i.PublicKey())
	}
	if err := alice.Block(ctx, people[2].PublicKey()); err != nil {
		log.Fatal(err)
	}
	for _, receipt := range alice.SendGroup(ctx, members, []byte("hello, all of you")) {
		for _, i := range people {
			if i.PublicKey() == receipt.Member {
				fmt.Println(i.Name(), receipt.Err == nil, errors.Is(receipt.Err, cause.ErrBlocked))
			}
		}
	}
	if err := engine.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// bob true false
	// carol false true
	// dave true false
}

// With Ask the first messages of somebody unknown are requests, until they are accepted
// or answered.
func ExampleIdentity_Accept() {
	ctx := context.Background()
	engine, people := examplePeople(ctx, rookery.Options{Events: true, Requests: rookery.Ask}, "alice", "bob")
	alice, bob := people[0], people[1]
	if _, err := alice.Send(ctx, bob.PublicKey(), []byte("may I?")); err != nil {
		log.Fatal(err)
	}
	for e, err := range engine.Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if request, ok := e.(rookery.ContactRequest); ok {
			fmt.Printf("a request: %s\n", request.Payload)
			request.Ack()
			if err := bob.Accept(ctx, request.Sender); err != nil {
				log.Fatal(err)
			}
			if _, err := alice.Send(ctx, bob.PublicKey(), []byte("thank you")); err != nil {
				log.Fatal(err)
			}
		}
		if m, ok := e.(rookery.Message); ok {
			fmt.Printf("a message: %s\n", m.Payload)
			m.Ack()
			break
		}
	}
	if err := engine.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// a request: may I?
	// a message: thank you
}

// A program that does not know whether it has sent something sends it again under the
// same key.
func ExampleIdentity_SendOnce() {
	ctx := context.Background()
	engine, people := examplePeople(ctx, rookery.Options{}, "alice", "bob")
	alice, bob := people[0], people[1]
	first, err := alice.SendOnce(ctx, "invoice 7", bob.PublicKey(), []byte("please pay"))
	if err != nil {
		log.Fatal(err)
	}
	again, err := alice.SendOnce(ctx, "invoice 7", bob.PublicKey(), []byte("please pay"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same message:", first.ID == again.ID, "sent:", engine.Counts().Sent)
	if err := engine.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// the same message: true sent: 1
}

// Direct makes the ciphertext and leaves it to the program to carry it; the recipient's
// engine takes it from its transport. examples/encrypt shows both sides.
func ExampleIdentity_Direct() {
	ctx := context.Background()
	engine, people := examplePeople(ctx, rookery.Options{}, "alice", "bob")
	alice, bob := people[0], people[1]
	bundle, err := bob.Bundle(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := alice.TakeBundle(ctx, bob.PublicKey(), bundle); err != nil {
		log.Fatal(err)
	}
	direct, err := alice.Direct(bob.PublicKey())
	if err != nil {
		log.Fatal(err)
	}
	message, err := direct.Encrypt(ctx, []byte("by pigeon"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("for", len(message.Installations), "device:", len(message.Message) > 0)
	direct.Close()
	if err := engine.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// for 1 device: true
}
