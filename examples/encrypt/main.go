package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/rookery-im/rookery"
)

func main() {
	dir, err := os.MkdirTemp("", "rookery-encrypt-*")
	if err == nil {
		err = run(context.Background(), dir, os.Stdout)
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run has Alice encrypt three messages for Bob, and Bob decrypt them.
func run(ctx context.Context, dir string, out io.Writer) (err error) {
	alices, bobs := newMail(), newMail()
	alice, closeAlice, err := open(ctx, filepath.Join(dir, "alice"), alices)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAlice()) }()
	bob, closeBob, err := open(ctx, filepath.Join(dir, "bob"), bobs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBob()) }()

	// Alice needs Bob's bundle once, by any way.
	code, err := bob.identity.ContactCode(ctx)
	if err != nil {
		return err
	}
	if _, err := alice.identity.TakeContactCode(ctx, code); err != nil {
		return err
	}

	direct, err := alice.identity.Direct(bob.identity.PublicKey())
	if err != nil {
		return err
	}
	defer direct.Close()
	for _, text := range []string{"one", "two", "three"} {
		message, err := direct.Encrypt(ctx, []byte(text))
		if err != nil {
			return err
		}
		// Here message.Message goes over the program's own network; from here on it
		// is Bob's side.
		if err := bobs.arrived(alice.identity.PublicKey(), bob.identity.PublicKey(), message.Message); err != nil {
			return err
		}
		received, err := bob.next(ctx)
		if err != nil {
			return err
		}
		if received.ID != message.ID {
			return fmt.Errorf("message %v has come as %v", message.ID, received.ID)
		}
		if _, err := fmt.Fprintf(out, "%s\n", received.Payload); err != nil {
			return err
		}
	}
	return nil
}

// side is one of the two.
type side struct {
	engine   *rookery.Engine
	identity *rookery.Identity
}

func open(ctx context.Context, dir string, m *mail) (side, func() error, error) {
	engine, err := rookery.Open(ctx, rookery.Options{Dir: dir, Unlock: rookery.KeyFile(dir + ".key"), Transport: m, Events: true})
	if err != nil {
		return side{}, nil, err
	}
	end := func() error { return engine.Close(context.WithoutCancel(ctx)) }
	identity, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		return side{}, nil, errors.Join(err, end())
	}
	return side{engine, identity}, end, nil
}

// next waits for a message.
func (s side) next(ctx context.Context) (rookery.Message, error) {
	for e, err := range s.engine.Events(ctx) {
		if err != nil {
			return rookery.Message{}, err
		}
		if m, ok := e.(rookery.Message); ok {
			m.Ack()
			return m, nil
		}
	}
	return rookery.Message{}, rookery.ErrClosed
}
