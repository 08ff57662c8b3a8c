package wakurest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
)

const patience = time.Minute

// receiver takes down what comes.
type receiver struct {
	mu   sync.Mutex
	got  []carrier.Received
	gaps []int64
}

func (r *receiver) Deliver(m carrier.Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m)
}

func (r *receiver) Gap(since int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaps = append(r.gaps, since)
}

func (r *receiver) messages() []carrier.Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) payloads() []string {
	messages := r.messages()
	out := make([]string, len(messages))
	for i := range messages {
		out[i] = string(messages[i].Payload)
	}
	return out
}

func (r *receiver) gapCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.gaps)
}

func (r *receiver) lastGap() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.gaps) == 0 {
		return 0
	}
	return r.gaps[len(r.gaps)-1]
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

const topic carrier.Topic = "/waku/1/0x11223344/rfc26"

var count struct {
	sync.Mutex
	n int
}

// message is a new one.
func message(payload string) carrier.Message {
	count.Lock()
	defer count.Unlock()
	count.n++
	return carrier.Message{Topic: topic, Payload: []byte(payload), Time: time.Now().UnixNano() + int64(count.n)}
}

func publish(t *testing.T, c *wakurest.Carrier, m carrier.Message) error {
	t.Helper()
	result := make(chan error, 1)
	c.Publish(m, func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-time.After(patience):
		t.Fatal("accepted was not called")
		return nil
	}
}

// publishAll publishes numbered messages.
func publishAll(t *testing.T, c *wakurest.Carrier, n int) {
	t.Helper()
	for i := range n {
		if err := publish(t, c, message(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
}

// pair are two nodes, each with a carrier: one that publishes, and one that is looked
// at.
type pair struct {
	network   *standin.Network
	publisher *wakurest.Carrier
	carrier   *wakurest.Carrier
	node      *standin.Node
	got       *receiver
}

func newPair(t *testing.T, flavour standin.Flavour, change func(*wakurest.Options)) *pair {
	t.Helper()
	network := standin.NewNetwork()
	shards := []string{wakurest.PubsubTopic}
	other := network.Node(standin.Options{Flavour: flavour, Shards: shards})
	p := &pair{network: network, node: network.Node(standin.Options{Flavour: flavour, Shards: shards}), got: new(receiver)}
	p.publisher = open(t, quick(serveNode(t, other)))
	o := quick(serveNode(t, p.node))
	if change != nil {
		change(&o)
	}
	p.carrier = open(t, o)
	p.carrier.Receive(p.got)
	if err := p.carrier.Subscribe(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*wakurest.Carrier{p.publisher, p.carrier} {
		eventually(t, "ready", func() bool { return c.Health().Ready })
	}
	return p
}

// send has others publish numbered messages, on several topics in turn, all at once.
func (p *pair) send(n int, topics ...carrier.Topic) {
	messages := make([]standin.Message, n)
	for i := range messages {
		m := message(fmt.Sprint(i))
		messages[i] = standin.Message{PubsubTopic: wakurest.PubsubTopic, ContentTopic: string(topics[i%len(topics)]), Payload: m.Payload, Time: m.Time}
	}
	p.network.Send(messages...)
}

// settled waits until a message has come all the way.
func (p *pair) settled(t *testing.T) {
	t.Helper()
	m := p.say(t)
	eventually(t, "a message comes", func() bool { return p.came(m) })
}

// settledAgain is settled where messages may be lost: on a slow machine a short timeout
// is over before an answer is there, and what it had is gone.
func (p *pair) settledAgain(t *testing.T) {
	t.Helper()
	eventually(t, "a message comes", func() bool {
		m := p.say(t)
		for range 100 {
			if p.came(m) {
				return true
			}
			time.Sleep(time.Millisecond)
		}
		return false
	})
}

// say has the other one publish a new message.
func (p *pair) say(t *testing.T) carrier.Message {
	t.Helper()
	m := message(fmt.Sprint("settled ", time.Now().UnixNano()))
	if err := publish(t, p.publisher, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (p *pair) came(m carrier.Message) bool {
	return slices.Contains(p.got.payloads(), string(m.Payload))
}

func newServer(t *testing.T, handle http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}
