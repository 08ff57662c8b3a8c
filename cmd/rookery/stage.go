package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/memory"
)

// scenePatience is how long a scene waits for one thing to happen. All happens
// within milliseconds, or not at all; a busy machine needs more.
const scenePatience = time.Minute

// stage is where one scene plays: a network without faults, engines with a
// directory and a clock that can be set, and everything that has happened.
type stage struct {
	ctx      context.Context
	dir      string
	network  transport.Transport
	patience func(what string) time.Duration // for one thing to happen
	tell     func(name, format string, args ...any)
	engines  map[string]*rookery.Engine // by the name of their directory

	mu     sync.Mutex
	ahead  time.Duration // of the clock
	events []rookery.Event
	news   chan struct{} // closed with the next event
}

// newStage makes a stage on a directory of its own; strike takes it down.
func newStage(ctx context.Context, tell func(name, format string, args ...any)) (*stage, error) {
	dir, err := os.MkdirTemp("", "rookery-scene-*")
	if err != nil {
		return nil, err
	}
	return &stage{
		ctx:      ctx,
		dir:      dir,
		network:  memory.New(1, memory.Faults{}),
		patience: func(string) time.Duration { return scenePatience },
		tell:     tell,
		engines:  make(map[string]*rookery.Engine),
		news:     make(chan struct{}),
	}, nil
}

func (s *stage) strike() error {
	var all []error
	for _, engine := range s.engines {
		all = append(all, engine.Close(s.ctx))
	}
	return errors.Join(append(all, os.RemoveAll(s.dir))...)
}

func (s *stage) open(name string) (*rookery.Engine, error) {
	engine, err := rookery.Open(s.ctx, rookery.Options{
		Dir:       filepath.Join(s.dir, name),
		Unlock:    rookery.KeyFile(filepath.Join(s.dir, name+".key")),
		Transport: s.network,
		Handler:   s.handle,
		Now:       s.now,
	})
	if err != nil {
		return nil, err
	}
	s.engines[name] = engine
	return engine, nil
}

// destroy ends an engine and deletes all it had.
func (s *stage) destroy(name string) error {
	engine := s.engines[name]
	delete(s.engines, name)
	return errors.Join(engine.Close(s.ctx), os.RemoveAll(filepath.Join(s.dir, name)))
}

func (s *stage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// pass sets the clock on, and forgets what has happened before.
func (s *stage) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
	s.events = nil
}

func (s *stage) handle(e rookery.Event) {
	switch e := e.(type) {
	case rookery.Message:
		e.Ack()
	case rookery.SentElsewhere:
		e.Ack()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	close(s.news)
	s.news = make(chan struct{})
}

// seen gives the events of one type, and what is closed with the next event.
func seen[E rookery.Event](s *stage, is func(E) bool) ([]E, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []E
	for _, e := range s.events {
		if e, ok := e.(E); ok && is(e) {
			all = append(all, e)
		}
	}
	return all, s.news
}

// await waits for an event, and gives the first one of that kind.
func await[E rookery.Event](s *stage, what string, is func(E) bool) (E, error) {
	patience := s.patience(what)
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		all, news := seen(s, is)
		if len(all) > 0 {
			return all[0], nil
		}
		select {
		case <-news:
		case <-over.C:
			return *new(E), fmt.Errorf("%s: not within %v", what, patience)
		case <-s.ctx.Done():
			return *new(E), fmt.Errorf("%s: %w", what, s.ctx.Err())
		}
	}
}

// introduce gives one identity the other's bundle, as a scanned code would.
func (s *stage) introduce(one, other *rookery.Identity) error {
	bundle, err := other.Bundle(s.ctx)
	if err != nil {
		return err
	}
	return one.TakeBundle(s.ctx, other.PublicKey(), bundle)
}

// say sends a text to the identity of devices, and waits until it has arrived
// at each of them.
func (s *stage) say(from *rookery.Identity, text string, devices ...*rookery.Identity) (rookery.Receipt, error) {
	receipt, err := from.Send(s.ctx, devices[0].PublicKey(), []byte(text))
	if err != nil {
		return receipt, fmt.Errorf("send %q: %w", text, err)
	}
	for _, device := range devices {
		if !slices.Contains(receipt.Installations, device.InstallationID()) {
			return receipt, fmt.Errorf("%q was not encrypted for installation %s", text, device.InstallationID())
		}
		_, err := await(s, fmt.Sprintf("%q arrives at installation %s", text, device.InstallationID()), func(m rookery.Message) bool {
			return m.Identity == device && m.ID == receipt.ID && m.Sender == from.PublicKey() &&
				m.Installation == from.InstallationID() && m.ForwardSecrecy && bytes.Equal(m.Payload, []byte(text))
		})
		if err != nil {
			return receipt, err
		}
	}
	return receipt, nil
}
