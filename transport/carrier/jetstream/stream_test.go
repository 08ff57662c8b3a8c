package jetstream_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

// withoutLimits are options that take a stream as it is.
func (n *network) withoutLimits() jetstream.Options {
	o := n.options()
	o.Stream = jetstream.Stream{}
	return o
}

func TestStreamIsCreatedAsTheOptionsSay(t *testing.T) {
	n := newNetwork(t, nil)
	_, admin := n.admin()
	o := n.options()
	o.Prefix = "some.where"
	o.Stream = jetstream.Stream{Name: "mail", Create: true, MaxAge: 90 * time.Second, MaxBytes: 1 << 20, MaxPerTopic: 7, Duplicates: time.Minute, Memory: true}
	var opened sync.WaitGroup
	for range 4 {
		opened.Go(func() { n.open(o) })
	}
	opened.Wait()
	stream, err := admin.Stream(t.Context(), "mail")
	if err != nil {
		t.Fatal(err)
	}
	have := stream.CachedInfo().Config
	if len(have.Subjects) != 1 || have.Subjects[0] != "some.where.*" || have.MaxAge != 90*time.Second || have.MaxBytes != 1<<20 ||
		have.MaxMsgsPerSubject != 7 || have.Duplicates != time.Minute || have.Storage != js.MemoryStorage || have.Discard != js.DiscardOld {
		t.Errorf("created as %+v", have)
	}
	c := n.open(o)
	publishAll(t, c, messages("one", 10))
	if kept := history(t, c, "one"); len(kept) != 7 {
		t.Errorf("%d messages are kept, want 7", len(kept))
	}
}

func TestStreamHasToBeThereIfItMayNotBeCreated(t *testing.T) {
	n := newNetwork(t, nil)
	_, err := jetstream.Open(t.Context(), n.withoutLimits())
	if !errors.Is(err, jetstream.ErrStream) {
		t.Errorf("got error %v", err)
	}
	n.open(n.options())
	n.open(n.withoutLimits())
}

func TestStreamThatCannotServeIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		config func(c *js.StreamConfig)
		option func(o *jetstream.Options)
		says   string
	}{
		"other subjects":    {config: func(c *js.StreamConfig) { c.Subjects = []string{"other.*"} }, says: "subjects"},
		"work queue":        {config: func(c *js.StreamConfig) { c.Retention = js.WorkQueuePolicy }, says: "retention"},
		"no acknowledgment": {config: func(c *js.StreamConfig) { c.NoAck = true }, says: "acknowledges"},
		"small messages":    {config: func(c *js.StreamConfig) { c.MaxMsgSize = 1000 }, says: "1000 bytes"},
		"other subject": {config: func(c *js.StreamConfig) {
			c.SubjectTransform = &js.SubjectTransformConfig{Source: "rookery.*", Destination: "changed.{{wildcard(1)}}"}
		}, says: "changes subjects"},
		"age":        {option: func(o *jetstream.Options) { o.Stream.MaxAge = time.Minute }, says: "1h0m0s and not 1m0s"},
		"bytes":      {option: func(o *jetstream.Options) { o.Stream.MaxBytes = 5000 }, says: "5000"},
		"per topic":  {option: func(o *jetstream.Options) { o.Stream.MaxPerTopic = 5 }, says: "not 5"},
		"duplicates": {option: func(o *jetstream.Options) { o.Stream.Duplicates = time.Second }, says: "1s"},
		"replicas":   {option: func(o *jetstream.Options) { o.Stream.Replicas = 3 }, says: "not 3"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, nil)
			_, admin := n.admin()
			config := js.StreamConfig{Name: "rookery", Subjects: []string{"rookery.*", "more"}, MaxAge: time.Hour}
			o := n.withoutLimits()
			if test.config != nil {
				test.config(&config)
			}
			if test.option != nil {
				test.option(&o)
			}
			if _, err := admin.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			c, err := jetstream.Open(t.Context(), o)
			if err == nil {
				closed(t, c)
			}
			if !errors.Is(err, jetstream.ErrStream) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got error %v, want one of %q", err, test.says)
			}
		})
	}
}
