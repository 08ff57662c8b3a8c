package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
	"github.com/rookery-im/rookery/transport/carrier/wakurelay"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

// impatient gives up on a network soon.
func impatient(d *doctoring) { d.Wait = time.Second }

// A network that is not there is an error after the time it was given.
func TestDoctorSaysThatTheNetworkIsAway(t *testing.T) {
	p := newPerson(t)
	p.new()
	address := addressOfNobody(t)
	for _, transport := range []string{"wakurest:http://" + address, "nats://" + address, "waku:" + somePeer} {
		status, _, found := p.doctored(impatient, over(transport))
		if status != exitError {
			t.Errorf("%s: status %d", transport, status)
		}
		finds(t, found, failure, "network", "is not there after 1s: ")
	}
	for transport, says := range map[string]string{"pigeons": "transport", "nats://" + address + ",create=perhaps": "create=perhaps", "wakurest:http://" + address + ",light=perhaps": "light=perhaps"} {
		status, _, found := p.doctored(over(transport))
		if status != exitError {
			t.Errorf("%s: status %d", transport, status)
		}
		finds(t, found, failure, "network", says)
	}
}

func addressOfNobody(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// Who stops the doctor is not told that the network is away.
func TestDoctorThatIsStoppedSaysNothingOfTheNetwork(t *testing.T) {
	for _, transport := range []string{"wakurest:http://127.0.0.1:1", "nats://127.0.0.1:1", "waku:" + somePeer} {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		d := DoctorCmd{Transport: transport, Wait: testPatience}
		var r doctorResult
		if err := d.examineNetwork(ctx, &r); !errors.Is(err, context.Canceled) || len(r.Findings) > 0 {
			t.Errorf("%s: %v, %+v", transport, err, r.Findings)
		}
	}
}

// restOf gives the address of a node's REST interface.
func restOf(t *testing.T, node *standin.Node) string {
	t.Helper()
	server := httptest.NewServer(node.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// A Waku node is asked, and nothing else: what it has gathered for who reads it is there
// afterwards, and it is subscribed to nothing by it.
func TestDoctorTakesNothingFromAWakuNode(t *testing.T) {
	p := newPerson(t)
	p.new()
	const topic = "/waku/1/0x12345678/rfc26"
	for _, flavour := range []standin.Flavour{standin.GoWaku, standin.Nwaku} {
		t.Run(flavour.String(), func(t *testing.T) {
			net := standin.NewNetwork()
			address := restOf(t, net.Node(standin.Options{Flavour: flavour}))
			_, _, found := p.doctored(over("wakurest:" + address))
			finds(t, found, fine, "network", "wakurest is there, version")
			finds(t, found, fine, "network", "its history answers")
			if status, _ := call(t, http.MethodGet, gatheredBy(address), ""); status != http.StatusNotFound {
				t.Errorf("the node is subscribed: it answers a read with %d", status)
			}
			subscribe(t, address)
			sent := []string{"one", "two", "three"}
			for _, payload := range sent {
				net.Send(standin.Message{PubsubTopic: wakurest.PubsubTopic, ContentTopic: topic, Payload: []byte(payload), Time: time.Now().UnixNano()})
			}
			_, _, found = p.doctored(over("wakurest:" + address))
			finds(t, found, fine, "network", "wakurest is there, version")
			if got := gathered(t, address); !slices.Equal(got, sent) {
				t.Errorf("%q is left of %q", got, sent)
			}
		})
	}
}

// subscribe makes a node gather messages, as who reads it does.
func subscribe(t *testing.T, node string) {
	t.Helper()
	if status, said := call(t, http.MethodPost, node+"/relay/v1/subscriptions", `["`+wakurest.PubsubTopic+`"]`); status != http.StatusOK {
		t.Fatal(status, said)
	}
}

func gatheredBy(node string) string {
	return node + "/relay/v1/messages/" + url.PathEscape(wakurest.PubsubTopic)
}

// gathered takes what a node has gathered. A carrier would not do: what it reads before
// a topic is subscribed is nobody's.
func gathered(t *testing.T, node string) (payloads []string) {
	t.Helper()
	status, said := call(t, http.MethodGet, gatheredBy(node), "")
	var messages []struct{ Payload []byte }
	if err := json.Unmarshal([]byte(said), &messages); err != nil || status != http.StatusOK {
		t.Fatal(status, said, err)
	}
	for _, m := range messages {
		payloads = append(payloads, string(m.Payload))
	}
	return payloads
}

// A network without a history is warned of, and one of which it does not answer.
func TestDoctorSaysThatTheNetworkKeepsNothing(t *testing.T) {
	p := newPerson(t)
	p.new()
	net := standin.NewNetwork()
	for _, light := range []string{"", ",light=true"} {
		_, _, found := p.doctored(over("wakurest:" + restOf(t, net.Node(standin.Options{NoStore: true})) + light))
		finds(t, found, fine, "network", "wakurest is there")
		finds(t, found, warning, "network", "it keeps no history")
	}
	lying := net.Node(standin.Options{})
	lying.Lie(standin.NotJSON)
	_, _, found := p.doctored(over("wakurest:" + restOf(t, lying)))
	finds(t, found, warning, "network", "its history does not answer")

	peer, err := wakurelay.Open(wakurelay.Options{Listen: "127.0.0.1:0", Peers: []string{somePeer}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	address := peer.Addresses()[0]
	_, _, found = p.doctored(over("waku:" + address))
	finds(t, found, fine, "network", "waku is there")
	finds(t, found, warning, "network", "it keeps no history")
	store := restOf(t, net.Node(standin.Options{}))
	_, _, found = p.doctored(over("waku:" + address + ",store=" + store))
	finds(t, found, fine, "network", "its history answers")
	_, _, found = p.doctored(over("waku:" + address + ",store=http://" + addressOfNobody(t)))
	finds(t, found, warning, "network", "its history does not answer")
}

// A stream that is missing stays so, whoever would make it.
func TestDoctorMakesNoStream(t *testing.T) {
	p := newPerson(t)
	p.new()
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	_, _, found := p.doctored(over(server.URL() + ",create=true"))
	finds(t, found, note, "network", "its stream is not yet")
	status, _, found := p.doctored(over(server.URL()))
	if status != exitError {
		t.Errorf("status %d", status)
	}
	finds(t, found, failure, "network", "cannot be opened")
	if text := fmt.Sprint(found); !strings.Contains(text, ",create=true") {
		t.Errorf("it does not say how a stream is made: %s", text)
	}
	other := newPerson(t)
	other.new("--transport=" + server.URL() + ",create=true")
	for _, transport := range []string{server.URL(), server.URL() + ",create=true"} {
		_, _, found = p.doctored(over(transport))
		finds(t, found, fine, "network", "nats is there, 1 connected")
		finds(t, found, fine, "network", "its history answers")
	}
	_, _, found = other.doctored(later(2 * time.Hour))
	finds(t, found, fine, "bundle", "published")
}
