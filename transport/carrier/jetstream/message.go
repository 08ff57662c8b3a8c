package jetstream

import (
	"encoding/base64"
	"strconv"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/rookery-im/rookery/transport/carrier"
)

// timeHeader is carrier.Message.Time in decimal.
const timeHeader = "Rookery-Time"

// overhead is more than headers and subject add to a payload, in bytes.
const overhead = 2 << 10

// kept is a message on its way into the stream. It shares the payload.
func (c *Carrier) kept(m *carrier.Message, subject, reply string) *nats.Msg {
	hash := m.Hash()
	return &nats.Msg{
		Subject: subject,
		Reply:   reply,
		Data:    m.Payload,
		Header: nats.Header{
			timeHeader:              {strconv.FormatInt(m.Time, 10)},
			js.MsgIDHeader:          {base64.RawURLEncoding.EncodeToString(hash[:])},
			js.ExpectedStreamHeader: {c.options.Stream.Name},
		},
	}
}

// passing is an ephemeral message. It shares the payload.
func passing(m *carrier.Message, subject string) *nats.Msg {
	return &nats.Msg{
		Subject: subject,
		Data:    m.Payload,
		Header:  nats.Header{timeHeader: {strconv.FormatInt(m.Time, 10)}},
	}
}

// message is what somebody has published; not ok if it is nothing that Publish makes.
func message(topic carrier.Topic, m *nats.Msg) (carrier.Message, bool) {
	at, err := strconv.ParseInt(m.Header.Get(timeHeader), 10, 64)
	if err != nil {
		return carrier.Message{}, false
	}
	made := carrier.Message{Topic: topic, Payload: m.Data, Time: at}
	return made, made.Check() == nil
}
