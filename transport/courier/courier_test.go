package courier_test

import (
	"testing"
	"testing/synctest"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier/memory"
)

// Spec: 5.encryption.2
func TestMessagesArriveOnEveryKindOfTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 1})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob, carol := newPerson(t, "alice"), newPerson(t, "bob"), newPerson(t, "carol")
		here.live(alice)
		there.live(bob)
		there.live(carol)
		for _, p := range []*person{bob, carol} {
			there.listen(p, transport.PublicTopic("a chat"))
			there.listen(p, transport.ContactCodeTopic(alice.public))
		}
		settle()
		here.write(alice, bob, "first")
		here.writeAgreed(alice, bob, "agreed too early") // nobody reads there yet
		here.publish(transport.Envelope{Topic: transport.ContactCodeTopic(alice.public), Sender: alice.public, Payload: []byte("code")})
		here.publish(transport.Envelope{Topic: transport.PublicTopic("a chat"), Sender: alice.public, Payload: []byte("public")})
		settle()
		bob.has("first", "code", "public")
		carol.has("code", "public")
		there.write(bob, alice, "answer") // Bob listens to their topic from now on, its past included
		there.writeAgreed(bob, alice, "agreed")
		there.write(bob, carol, "neighbour")
		there.writeAgreed(carol, bob, "agreed neighbour")
		settle()
		alice.has("answer", "agreed")
		bob.has("first", "code", "public", "agreed too early", "agreed neighbour")
		carol.has("code", "public", "neighbour")
		for _, e := range bob.got {
			want := alice.public
			if string(e.Payload) == "agreed neighbour" {
				want = carol.public
			}
			if e.Sender != want {
				t.Errorf("%q is of %v", e.Payload, e.Sender)
			}
		}
	})
}
