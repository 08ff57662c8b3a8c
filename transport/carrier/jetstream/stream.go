package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

// config is that of a stream that is created here.
func (o *Options) config() js.StreamConfig {
	s := o.Stream
	if s.MaxAge == 0 {
		s.MaxAge = defaultMaxAge
	}
	if s.Duplicates == 0 {
		s.Duplicates = min(defaultDuplicates, s.MaxAge)
	}
	orNone := func(n int64) int64 {
		if n == 0 {
			return -1
		}
		return n
	}
	config := js.StreamConfig{
		Name:              s.Name,
		Description:       "Messages of rookery, and how long they are kept",
		Subjects:          []string{o.Prefix + ".*"},
		Retention:         js.LimitsPolicy,
		Discard:           js.DiscardOld,
		Storage:           js.FileStorage,
		Replicas:          max(1, s.Replicas),
		MaxAge:            s.MaxAge,
		MaxBytes:          orNone(s.MaxBytes),
		MaxMsgsPerSubject: orNone(s.MaxPerTopic),
		MaxMsgSize:        carrier.MaxPayload + overhead,
		MaxMsgs:           -1,
		MaxConsumers:      -1,
		Duplicates:        s.Duplicates,
	}
	if s.Memory {
		config.Storage = js.MemoryStorage
	}
	return config
}

// serves gives ErrStream for a stream that cannot do what is needed, or that keeps
// other things than the options say.
func (o *Options) serves(have *js.StreamConfig) error {
	want := o.config()
	var wrong []string
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	must(slices.Contains(have.Subjects, want.Subjects[0]) || slices.Contains(have.Subjects, o.Prefix+".>"),
		"its subjects are %q and not %q", have.Subjects, want.Subjects)
	must(have.Retention == js.LimitsPolicy, "its retention is %s", have.Retention)
	must(!have.NoAck, "it acknowledges nothing")
	must(!have.Sealed, "it is sealed")
	must(have.Mirror == nil, "it is a mirror")
	must(have.SubjectTransform == nil, "it changes subjects")
	must(have.MaxMsgSize <= 0 || have.MaxMsgSize >= carrier.MaxPayload+overhead, "its messages have at most %d bytes", have.MaxMsgSize)
	s := &o.Stream
	must(s.MaxAge == 0 || have.MaxAge == s.MaxAge, "it keeps messages for %s and not %s", have.MaxAge, s.MaxAge)
	must(s.MaxBytes == 0 || have.MaxBytes == s.MaxBytes, "it keeps %d bytes and not %d", have.MaxBytes, s.MaxBytes)
	must(s.MaxPerTopic == 0 || have.MaxMsgsPerSubject == s.MaxPerTopic, "it keeps %d messages of a topic and not %d", have.MaxMsgsPerSubject, s.MaxPerTopic)
	must(s.Duplicates == 0 || have.Duplicates == s.Duplicates, "it knows duplicates for %s and not %s", have.Duplicates, s.Duplicates)
	must(s.Replicas == 0 || have.Replicas == s.Replicas, "it has %d replicas and not %d", have.Replicas, s.Replicas)
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s: %s", ErrStream, s.Name, strings.Join(wrong, "; "))
	}
	return nil
}

// look gives the state of the stream, which is created if that has to be, and ErrStream
// if it cannot serve.
func (c *Carrier) look(ctx context.Context) (*js.StreamInfo, error) {
	info, err := c.info(ctx)
	if errors.Is(err, js.ErrStreamNotFound) {
		if !c.options.Stream.Create {
			return nil, fmt.Errorf("%w of the name %s", ErrNoStream, c.options.Stream.Name)
		}
		if err := c.create(ctx); err != nil {
			return nil, err
		}
		info, err = c.info(ctx)
	}
	if err != nil {
		return nil, asked("stream "+c.options.Stream.Name, err)
	}
	return info, c.options.serves(&info.Config)
}

func (c *Carrier) info(ctx context.Context) (info *js.StreamInfo, err error) {
	name := c.options.Stream.Name
	err = c.ask(ctx, "STREAM.INFO."+name, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, name)
		if err == nil {
			info = stream.CachedInfo()
		}
		return err
	})
	return info, err
}

func (c *Carrier) create(ctx context.Context) error {
	name := c.options.Stream.Name
	err := c.ask(ctx, "STREAM.CREATE."+name, func(ctx context.Context) error {
		_, err := c.js.CreateStream(ctx, c.options.config())
		return err
	})
	if errors.Is(err, js.ErrStreamNameAlreadyInUse) {
		return nil // by another process, just now; whether it can serve is looked at
	}
	return asked("creating stream "+name, err)
}
