package rookery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence/memory"
	carriers "github.com/rookery-im/rookery/transport/carrier/memory"
)

// onNetwork hosts one identity on a network of content topics.
func onNetwork(t *testing.T, n *carriers.Network, handle func(rookery.Event)) *rookery.Identity {
	t.Helper()
	engine, err := rookery.Open(t.Context(), rookery.Options{
		Store: memory.New(), Carrier: n.Open(), Handler: handle, LookUpWait: patience, // the bundle is there, however long it takes to come
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	identity, err := engine.CreateIdentity(t.Context(), rookery.NewIdentity{})
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// Two engines that know nothing but each other's key find each other's bundle on the
// network, talk with forward secrecy from the first message on, and go over to the
// topic that they share (54/WAKU2-X3DH-SESSIONS, Negotiated Topic; 5, Bundle
// Retrieval).
//
// Spec: 5.bundle-retrieval.1 5.prekeys.5 54.discovery.1
func TestEnginesTalkOverANetworkOfContentTopics(t *testing.T) {
	network := carriers.New(carriers.Options{Seed: 1})
	got := make(chan rookery.Message, 100)
	handle := func(e rookery.Event) {
		if m, ok := e.(rookery.Message); ok {
			got <- m
			m.Ack()
		}
	}
	alice := onNetwork(t, network, handle)
	bob := onNetwork(t, network, handle)
	published := make(chan error, 1)
	if err := bob.PublishContactCode(t.Context(), func(err error) { published <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		for n, way := range [][2]*rookery.Identity{{alice, bob}, {bob, alice}} {
			text := fmt.Sprint("message ", i, n)
			receipt, err := way[0].Send(t.Context(), way[1].PublicKey(), []byte(text))
			if err != nil || !receipt.ForwardSecrecy {
				t.Fatalf("%s: %+v, %v", text, receipt, err)
			}
			select {
			case m := <-got:
				if string(m.Payload) != text || m.Sender != way[0].PublicKey() {
					t.Fatalf("got %q instead of %q", m.Payload, text)
				}
			case <-time.After(patience):
				t.Fatalf("%s does not arrive", text)
			}
		}
	}
}
