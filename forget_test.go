package rookery_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	carriers "github.com/rookery-im/rookery/transport/carrier/memory"
)

// place is an engine on a network of content topics whose store can be looked into.
type place struct {
	t      *testing.T
	store  persistence.Store
	got    chan rookery.Event
	engine *rookery.Engine
}

func newPlace(t *testing.T, n *carriers.Network, configure ...func(*rookery.Options)) *place {
	t.Helper()
	p := &place{t: t, store: memory.New(), got: make(chan rookery.Event, 1<<16)}
	p.open(n, configure...)
	t.Cleanup(p.close)
	return p
}

func (p *place) open(n *carriers.Network, configure ...func(*rookery.Options)) {
	p.t.Helper()
	options := rookery.Options{Store: lasting{p.store}, Carrier: n.Open(), Handler: func(e rookery.Event) {
		if m, ok := e.(interface{ Ack() }); ok {
			m.Ack()
		}
		p.got <- e
	}, LookUpWait: time.Millisecond} // nobody has published a contact code yet
	for _, f := range configure {
		f(&options)
	}
	engine, err := rookery.Open(context.Background(), options)
	if err != nil {
		p.t.Fatal(err)
	}
	p.engine = engine
}

func (p *place) close() {
	p.t.Helper()
	if err := p.engine.Close(context.Background()); err != nil {
		p.t.Error(err)
	}
}

func (p *place) identity() *rookery.Identity {
	p.t.Helper()
	i, err := p.engine.CreateIdentity(patient(p.t), rookery.NewIdentity{})
	if err != nil {
		p.t.Fatal(err)
	}
	return i
}

// say sends a text and waits until it has come.
func (p *place) say(from, to *rookery.Identity, at *place, text string) {
	p.t.Helper()
	if _, err := from.Send(patient(p.t), to.PublicKey(), []byte(text)); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.After(patience); ; {
		select {
		case e := <-at.got:
			if m, ok := e.(rookery.Message); ok && string(m.Payload) == text {
				return
			}
		case <-deadline:
			p.t.Fatalf("%q does not arrive", text)
		}
	}
}

// forms are how an identity can stand in a record.
func forms(key rookery.PublicKey, installations ...string) [][]byte {
	all := [][]byte{key[:], key[1:], []byte(hex.EncodeToString(key[1:]))}
	for _, id := range installations {
		all = append(all, []byte(id))
	}
	return all
}

// Nothing in the store names a deleted identity or its contacts any more, and nothing
// is left of the network topics that it had: not their keys, not how far they were
// read. While another installation of it lives here that stays.
func TestDeletedIdentityIsForgottenByItsNetwork(t *testing.T) {
	network := carriers.New(carriers.Options{Seed: 1})
	here, there := newPlace(t, network), newPlace(t, network)
	bob := there.identity()
	count := func() map[persistence.Kind]int {
		n := make(map[persistence.Kind]int)
		for _, kind := range []persistence.Kind{persistence.KindListening, persistence.KindTopicKey, persistence.KindSegment} {
			n[kind] = count(t, here.store, kind)
		}
		return n
	}
	alice := here.identity()
	second, err := alice.AddInstallation(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.Join("a chat of alice"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		here.say(alice, bob, there, fmt.Sprint("out ", i))
		there.say(bob, alice, here, fmt.Sprint("in ", i))
	}
	eventually(t, "keys of topics in the store", func() bool {
		here.engine.Sweep(time.Now()) // they tell each other
		there.engine.Sweep(time.Now())
		n := count()
		return n[persistence.KindTopicKey] >= 2 && n[persistence.KindListening] >= 4
	})
	if err := here.engine.DeleteIdentity(patient(t), alice.PublicKey(), alice.InstallationID()); err != nil {
		t.Fatal(err)
	}
	if n := count(); n[persistence.KindListening] < 4 {
		t.Errorf("another installation has lost its topics: %v", n)
	}
	there.say(bob, alice, here, "to the other one")
	if err := here.engine.DeleteIdentity(patient(t), alice.PublicKey(), second.InstallationID()); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for kind, n := range count() {
			if n != 0 {
				t.Errorf("%s: %d records: %v", when, n, kind)
			}
		}
		names := append(forms(alice.PublicKey(), alice.InstallationID(), second.InstallationID()), forms(bob.PublicKey(), bob.InstallationID())...)
		err := here.store.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
			for _, form := range names {
				if bytes.Contains([]byte(name), form) || bytes.Contains(value, form) {
					t.Errorf("%s: %v names it", when, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check("at once")
	here.close()
	check("at the end")
	here.open(network)
	if n := len(here.engine.Identities()); n != 0 {
		t.Errorf("%d identities", n)
	}
}
