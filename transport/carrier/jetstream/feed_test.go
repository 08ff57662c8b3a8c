package jetstream_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

const topic = carrier.Topic("/rookery/1/feed/test")

// admin is a plain client of the server.
func (n *network) admin() (*nats.Conn, js.JetStream) {
	n.Helper()
	nc, err := nats.Connect("nats://" + n.address())
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(nc.Close)
	stream, err := js.New(nc)
	if err != nil {
		n.Fatal(err)
	}
	return nc, stream
}

// consumers are the names of those that the server has.
func (n *network) consumers(admin js.JetStream) (names []string) {
	n.Helper()
	stream, err := admin.Stream(n.Context(), "rookery")
	if err != nil {
		n.Fatal(err)
	}
	list := stream.ConsumerNames(n.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	if list.Err() != nil {
		n.Fatal(list.Err())
	}
	return names
}

// TestServerRestartsInTheMiddleOfTraffic: each accepted message is delivered once,
// without anybody looking into the history.
func TestServerRestartsInTheMiddleOfTraffic(t *testing.T) {
	n := newNetwork(t, nil)
	sender, receiver := n.open(n.options()), n.open(n.options())
	in := newInbox()
	subscribe(t, receiver, in, topic)
	all := messages(topic, 3000)
	var sentSoFar atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range all {
			publishAll(t, sender, all[i:i+1])
			sentSoFar.Add(1)
		}
	}()
	for _, at := range []int64{700, 1400, 2100} {
		eventually(t, "messages are sent", func() bool { return sentSoFar.Load() > at })
		n.restart()
	}
	<-done
	in.gets(t, all)
	if gaps := in.gapsTold(); len(gaps) > 0 {
		t.Errorf("gaps since %v", gaps)
	}
	if _, most := in.count(all); most > 1 {
		t.Errorf("a message came %d times", most)
	}
	kept := history(t, sender, topic)
	if len(kept) != len(all) {
		t.Errorf("the history has %d messages, %d were published", len(kept), len(all))
	}
	for i := range min(len(kept), len(all)) {
		if kept[i].Hash() != all[i].Hash() {
			t.Fatalf("message %d of the history is another one", i)
		}
	}
}

// TestSubscribeEndsWithItsContextWhileTheServerIsSilent: and nothing is subscribed.
func TestSubscribeEndsWithItsContextWhileTheServerIsSilent(t *testing.T) {
	n := newNetwork(t, nil)
	w := newWire(t, n.address)
	o := n.options()
	o.Servers, o.Timeout = []string{w.url()}, patience
	sender, c := n.open(n.options()), n.open(o)
	in := newInbox()
	subscribe(t, c, in, topic)
	w.setDeaf(true)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := c.Subscribe(ctx, topic+"2"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	w.setDeaf(false)
	foreign, own := messages(topic+"2", 1), messages(topic, 1)
	publishAll(t, sender, foreign)
	publishAll(t, sender, own)
	in.gets(t, own)
	if n, _ := in.count(foreign); n != 0 {
		t.Error("a message came of a topic whose Subscribe has failed")
	}
}

// TestReceiverMaySubscribe: and so may others while it is busy.
func TestReceiverMaySubscribe(t *testing.T) {
	n := newNetwork(t, nil)
	c := n.open(n.options())
	in := newInbox()
	second, third := topic+"2", topic+"3"
	blocked := make(chan struct{})
	in.then = func(r carrier.Received) {
		if r.Topic != topic {
			return
		}
		if err := c.Subscribe(t.Context(), second); err != nil {
			t.Error(err)
		}
		<-blocked
	}
	subscribe(t, c, in, topic)
	for range 3 * 256 { // more than is asked for at once
		publishAll(t, c, messages(topic, 1))
	}
	if err := c.Subscribe(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	late := append(messages(second, 3), messages(third, 3)...)
	publishAll(t, c, late)
	close(blocked)
	in.gets(t, late)
}

// TestConsumerThatIsTakenAwayIsMadeAnew: as it is when a receiver had no room for long.
func TestConsumerThatIsTakenAwayIsMadeAnew(t *testing.T) {
	n := newNetwork(t, nil)
	_, admin := n.admin()
	c := n.open(n.options())
	in := newInbox()
	subscribe(t, c, in, topic)
	for range 3 {
		before := messages(topic, 300)
		publishAll(t, c, before)
		in.gets(t, before)
		for _, name := range n.consumers(admin) {
			if err := admin.DeleteConsumer(t.Context(), "rookery", name); err != nil {
				t.Fatal(err)
			}
		}
		after := messages(topic, 300)
		publishAll(t, c, after)
		in.gets(t, after)
		if _, most := in.count(append(before, after...)); most > 1 {
			t.Errorf("a message came %d times", most)
		}
	}
	if health := c.Health(); !health.Ready {
		t.Errorf("not ready: %v", health.Err)
	}
}

// TestTooMuchMissedIsAGap: it is left to who asks the history, and what is new comes.
func TestTooMuchMissedIsAGap(t *testing.T) {
	n := newNetwork(t, nil)
	w := newWire(t, n.address)
	o := n.options()
	o.Backlog = 50
	sender := n.open(o)
	o.Servers = []string{w.url()}
	receiver := n.open(o)
	in := newInbox()
	subscribe(t, receiver, in, topic)
	before := messages(topic, 10)
	publishAll(t, sender, before)
	in.gets(t, before)

	w.setCut(true)
	eventually(t, "it is cut off", func() bool { return !receiver.Health().Ready })
	few := messages(topic, 40)
	publishAll(t, sender, few)
	w.setCut(false)
	in.gets(t, few)
	if gaps := in.gapsTold(); len(gaps) > 0 {
		t.Errorf("gaps since %v, for few messages", gaps)
	}

	w.setCut(true)
	eventually(t, "it is cut off", func() bool { return !receiver.Health().Ready })
	many := messages(topic, 100)
	publishAll(t, sender, many)
	w.setCut(false)
	eventually(t, "a gap is told", func() bool { return len(in.gapsTold()) > 0 })
	after := messages(topic, 10)
	publishAll(t, sender, after)
	in.gets(t, after)
	first := in.gapsTold()[0]
	kept := history(t, receiver, topic)
	for _, r := range kept {
		if r.Hash() == many[0].Hash() && r.At < first {
			t.Errorf("the gap is since %d, the first missed message is of %d", first, r.At)
		}
	}
	if len(kept) != 160 {
		t.Errorf("the history has %d messages, want 160", len(kept))
	}
}

// TestStreamThatIsLostIsMadeAnew: with all its messages, and under the feet of carriers
// that were far in it.
func TestStreamThatIsLostIsMadeAnew(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, n *network, admin js.JetStream){
		"server restarts without it": func(_ *testing.T, n *network, _ js.JetStream) { n.restart() },
		"somebody deletes it": func(t *testing.T, _ *network, admin js.JetStream) {
			if err := admin.DeleteStream(t.Context(), "rookery"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, nil)
			_, admin := n.admin()
			o := n.options()
			o.Stream.Memory = true
			sender, receiver := n.open(o), n.open(o)
			in := newInbox()
			subscribe(t, receiver, in, topic)
			before := messages(topic, 500)
			publishAll(t, sender, before)
			in.gets(t, before)
			lose(t, n, admin)
			after := messages(topic, 20)
			publishAll(t, sender, after)
			in.gets(t, after)
			eventually(t, "both are ready", func() bool { return sender.Health().Ready && receiver.Health().Ready })
		})
	}
}

// TestSequencesThatAreGivenTwice: a server that lost its last seconds, and has got as far
// again when the receiver comes back.
func TestSequencesThatAreGivenTwice(t *testing.T) {
	n := newNetwork(t, nil)
	sender := n.open(n.options())
	w := newWire(t, n.address)
	o := n.options()
	o.Servers = []string{w.url()}
	receiver := n.open(o)
	in := newInbox()
	subscribe(t, receiver, in, topic)
	before := messages(topic, 10)
	publishAll(t, sender, before)
	in.gets(t, before)
	n.stop()
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(n.dir)); err != nil {
		t.Fatal(err)
	}
	n.start()
	lost := messages(topic, 20)
	publishAll(t, sender, lost)
	in.gets(t, lost)
	w.setCut(true)
	n.stop()
	if err := os.RemoveAll(n.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(n.dir, os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	n.start()
	after := messages(topic, 30)
	publishAll(t, sender, after)
	w.setCut(false)
	in.gets(t, after)
}

// TestSubscribedBeforeThereWasAServer: what comes from then on is delivered.
func TestSubscribedBeforeThereWasAServer(t *testing.T) {
	n := newNetwork(t, nil)
	sender := n.open(n.options())
	w := newWire(t, n.address)
	w.setCut(true)
	o := n.options()
	o.Servers = []string{w.url()}
	receiver := n.open(o)
	if health := receiver.Health(); health.Ready || health.Err == nil || health.Peers != 0 {
		t.Errorf("health is %+v", health)
	}
	in := newInbox()
	subscribe(t, receiver, in, topic)
	missed := messages(topic, 20)
	publishAll(t, sender, missed)
	w.setCut(false)
	in.gets(t, missed)
}

// TestServerOfThisProcess: without a port.
func TestServerOfThisProcess(t *testing.T) {
	s, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	c, err := jetstream.Open(t.Context(), jetstream.Options{InProcess: s, Stream: jetstream.Stream{Create: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, c)
	works(t, c)
}

// TestConsumersAreTakenAway: those of histories at once, all of them with Close.
func TestConsumersAreTakenAway(t *testing.T) {
	n := newNetwork(t, nil)
	_, admin := n.admin()
	c := n.open(n.options())
	publishAll(t, c, messages(topic, 10))
	for range 5 {
		history(t, c, topic)
	}
	eventually(t, "histories leave no consumer", func() bool { return len(n.consumers(admin)) == 0 })
	subscribe(t, c, newInbox(), topic)
	if names := n.consumers(admin); len(names) != 1 {
		t.Errorf("for the live messages there are %v", names)
	}
	asking, goOn := make(chan struct{}), make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_ = c.History(t.Context(), []carrier.Topic{topic}, 0, time.Now().UnixNano(), func(carrier.Received) error {
			select {
			case asking <- struct{}{}:
				<-goOn
			default:
			}
			return nil
		})
	}()
	<-asking
	if names := n.consumers(admin); len(names) != 2 {
		t.Errorf("while a history is asked there are %v", names)
	}
	closed(t, c)
	eventually(t, "Close leaves no consumer", func() bool { return len(n.consumers(admin)) == 0 })
	close(goOn)
	<-finished
}

// TestWhatIsNoMessageIsPassedOver: others may publish there too.
func TestWhatIsNoMessageIsPassedOver(t *testing.T) {
	n := newNetwork(t, nil)
	nc, _ := n.admin()
	c := n.open(n.options())
	in := newInbox()
	subscribe(t, c, in, "plain")
	for _, m := range []*nats.Msg{
		{Subject: "rookery.plain"},
		{Subject: "rookery.plain", Data: []byte("no time")},
		{Subject: "rookery.plain", Data: []byte("bad time"), Header: nats.Header{"Rookery-Time": {"soon"}}},
		{Subject: "rookery.plain", Data: []byte("time"), Header: nats.Header{"Rookery-Time": {"-5"}}},
		{Subject: "rookery.plain", Header: nats.Header{"Rookery-Time": {"5"}}},
		{Subject: "rookery-live.plain", Data: []byte("no time")},
	} {
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	good := messages("plain", 1)
	publishAll(t, c, good)
	in.gets(t, good)
	if kept := history(t, c, "plain"); len(kept) != 1 {
		t.Errorf("the history has %d messages, want 1", len(kept))
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.got) != 1 {
		t.Errorf("%d messages came, want 1", len(in.got))
	}
}
