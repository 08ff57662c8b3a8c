package jetstream_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

// withUsers is a server whose users may do different things; one of them made the stream.
func withUsers(t testing.TB) *network {
	allow := func(subjects ...string) *server.SubjectPermission { return &server.SubjectPermission{Allow: subjects} }
	n := newNetwork(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "pw"},
			{Username: "writer", Password: "pw", Permissions: &server.Permissions{
				Publish: allow("rookery.*", "rookery-live.*", "$JS.API.STREAM.INFO.rookery"), Subscribe: allow("_INBOX.>"),
			}},
			{Username: "reader", Password: "pw", Permissions: &server.Permissions{
				Publish:   allow("$JS.API.STREAM.INFO.rookery", "$JS.API.CONSUMER.*.rookery.>", "$JS.API.CONSUMER.MSG.NEXT.rookery.*"),
				Subscribe: allow("_INBOX.>", "rookery-live.*"),
			}},
			{Username: "own-topic", Password: "pw", Permissions: &server.Permissions{
				Publish: allow("rookery.mine", "$JS.API.STREAM.INFO.rookery", "$JS.API.CONSUMER.CREATE.rookery.*.rookery.mine",
					"$JS.API.CONSUMER.DELETE.rookery.*", "$JS.API.CONSUMER.MSG.NEXT.rookery.*"),
				Subscribe: allow("_INBOX.>", "rookery-live.mine"),
			}},
			{Username: "deaf", Password: "pw", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{">"}}}},
			{Username: "nobody", Password: "pw", Permissions: &server.Permissions{Publish: allow("nothing"), Subscribe: allow("_INBOX.>")}},
		}
	})
	n.open(as(n, "all"))
	return n
}

func as(n *network, user string) jetstream.Options {
	o := n.options()
	o.Login = jetstream.Login{User: user, Password: "pw"}
	o.Timeout = patience
	return o
}

// says holds that an error tells what is not allowed, soon.
func says(t testing.TB, what string, err error, subject string) {
	t.Helper()
	if !errors.Is(err, jetstream.ErrDenied) || carrier.Retriable(err) || !strings.Contains(err.Error(), subject) {
		t.Errorf("%s: got error %v, want %v of %s", what, err, jetstream.ErrDenied, subject)
	}
}

// soon holds that no answer is waited for in vain.
func soon(t testing.TB) func() {
	start := time.Now()
	return func() {
		t.Helper()
		if took := time.Since(start); took >= patience {
			t.Errorf("it takes %s to say so", took)
		}
	}
}

func TestWhoMayOnlyPublishIsToldSo(t *testing.T) {
	n := withUsers(t)
	defer soon(t)()
	all, writer := n.open(as(n, "all")), n.open(as(n, "writer"))
	m := messages(topic, 2)
	publishAll(t, writer, m)
	if kept := history(t, all, topic); len(kept) != 2 {
		t.Errorf("%d messages are kept, want 2", len(kept))
	}
	err := writer.History(t.Context(), []carrier.Topic{topic}, 0, time.Now().UnixNano(), nil)
	says(t, "history", err, "CONSUMER.CREATE")
	in := newInbox()
	writer.Receive(in)
	says(t, "subscribe", writer.Subscribe(t.Context(), topic), "CONSUMER.CREATE")
	eventually(t, "it goes on", func() bool { return writer.Health().Ready })
	publishAll(t, writer, messages(topic, 1))
}

func TestWhoMayOnlyReadIsToldSo(t *testing.T) {
	n := withUsers(t)
	defer soon(t)()
	all, reader := n.open(as(n, "all")), n.open(as(n, "reader"))
	in := newInbox()
	subscribe(t, reader, in, topic)
	err := publish(t, reader, message(topic))
	says(t, "publish", err, "rookery.=2Frookery")
	if !errors.Is(err, carrier.ErrMessage) {
		t.Errorf("publish: %v is not for good", err)
	}
	m := messages(topic, 2)
	publishAll(t, all, m)
	in.gets(t, m)
	if kept := history(t, reader, topic); len(kept) != 2 {
		t.Errorf("%d messages are in the history, want 2", len(kept))
	}
	ephemeral := message(topic)
	ephemeral.Ephemeral = true
	if err := publish(t, reader, ephemeral); err != nil && !errors.Is(err, jetstream.ErrDenied) {
		t.Errorf("ephemeral: %v", err)
	}
	eventually(t, "it tells of what it cannot publish", func() bool { return errors.Is(reader.Health().Err, jetstream.ErrDenied) })
}

// TestWhoHasOneTopic: other topics are refused, and the own one goes on.
func TestWhoHasOneTopic(t *testing.T) {
	n := withUsers(t)
	defer soon(t)()
	all, own := n.open(as(n, "all")), n.open(as(n, "own-topic"))
	in := newInbox()
	subscribe(t, own, in, "mine")
	says(t, "subscribe to another", own.Subscribe(t.Context(), "yours"), "CONSUMER.CREATE")
	m := append(messages("mine", 3), messages("yours", 3)...)
	publishAll(t, all, m)
	in.gets(t, m[:3])
	publishAll(t, own, messages("mine", 1))
	says(t, "publish on another", publish(t, own, message("yours")), "rookery.yours")
}

func TestWhoMayNothingIsToldAtTheDoor(t *testing.T) {
	n := withUsers(t)
	defer soon(t)()
	for user, subject := range map[string]string{"nobody": "STREAM.INFO", "deaf": "_INBOX"} {
		c, err := jetstream.Open(t.Context(), as(n, user))
		if err == nil {
			closed(t, c)
		}
		says(t, user, err, subject)
	}
	o := as(n, "writer")
	o.Stream.Name, o.Prefix = "other", "other"
	_, err := jetstream.Open(t.Context(), o)
	says(t, "a stream of its own", err, "STREAM.INFO.other")
}
