package main

import (
	"slices"
	"testing"

	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

// Two people with nothing but the key of one of them talk over a network that keeps
// what nobody has heard yet.
//
// Spec: 5.encryption.3
func TestTwoPeopleTalkOverANetworkThatKeeps(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	t.Setenv("ROOKERY_TRANSPORT", server.URL()+",create=true")
	alice, bob := newPerson(t), newPerson(t)
	alice.new()
	bobKey := bob.new() // and so its contact code is published
	soon(t, "bob's contact code", func() bool { return alice.object("contact", "add", bobKey)["devices"] == 1.0 })
	for _, text := range []string{"while you", "were away"} {
		if sent := alice.object("send", "--to="+bobKey, text); sent["taken"] != true || sent["forward_secrecy"] != true {
			t.Errorf("sent %v", sent)
		}
	}
	if got := textsIn(t, bob.does("listen", "--json", "--count=2", "--for=1m")); !slices.Equal(got, []string{"were away", "while you"}) {
		t.Errorf("got %v", got)
	}
	if got := textsIn(t, bob.does("listen", "--json", "--for=500ms")); len(got) != 0 {
		t.Errorf("again: %v", got)
	}
	for _, p := range []person{alice, bob} { // with what there is of the network in it
		if status, result := checked(t, p.dir, p.key); status != 0 || !result.OK || result.Orphans != 0 || result.Records == 0 {
			t.Errorf("status %d: %+v", status, result)
		}
	}
}

func TestAStreamThatIsMissingIsSaid(t *testing.T) {
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	p := newPerson(t)
	p.fails(exitError, "with ,create=true", "identity", "create", "--transport="+server.URL())
}
