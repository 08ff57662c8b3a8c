package daemon

import (
	"time"

	"github.com/rookery-im/rookery"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// Handle is the handler of the engine that is served. It may be called before Serve,
// and waits while there is no room for a message.
func (d *Daemon) Handle(e rookery.Event) {
	to := e.To()
	f := d.feeds.of(keyOf(to))
	event := viewEvent(e)
	event.Identity, event.Installation = to.PublicKey().String(), to.InstallationID()
	if m, ok := e.(interface{ Ack() }); ok {
		f.message(event, m.Ack)
		return
	}
	f.notice(event)
}

// viewEvent is an event as the API has it, without whom it is of and, if it is not
// stored, without an id.
func viewEvent(e rookery.Event) *apiv1.Event {
	switch e := e.(type) {
	case rookery.Message:
		return viewMessage(apiv1.EventType_EVENT_TYPE_MESSAGE, e)
	case rookery.ContactRequest:
		return viewMessage(apiv1.EventType_EVENT_TYPE_CONTACT_REQUEST, e.Message)
	case rookery.SentElsewhere:
		v := viewMessage(apiv1.EventType_EVENT_TYPE_SENT_ELSEWHERE, e.Message)
		v.Recipient = e.Recipient.String()
		return v
	case rookery.PublicMessage:
		v := viewMessage(apiv1.EventType_EVENT_TYPE_PUBLIC_MESSAGE, e.Message)
		v.Chat = printable(e.Chat)
		return v
	case rookery.InstallationDiscovered:
		v := viewDevice(apiv1.EventType_EVENT_TYPE_DEVICE_DISCOVERED, e.Contact, e.Installation)
		v.Enabled = e.Enabled
		return v
	case rookery.InstallationEnabled:
		v := viewDevice(apiv1.EventType_EVENT_TYPE_DEVICE_ENABLED, e.Contact, e.Installation)
		v.Enabled = e.Enabled
		return v
	case rookery.InstallationStale:
		v := viewDevice(apiv1.EventType_EVENT_TYPE_DEVICE_STALE, e.Contact, e.Installation)
		v.Stale = e.Stale
		return v
	case rookery.SessionChanged:
		v := viewDevice(apiv1.EventType_EVENT_TYPE_SESSION_CHANGED, e.Contact, e.Installation)
		v.Change, v.Cause = printable(string(e.Change)), printable(string(e.Cause))
		return v
	case rookery.ForwardSecrecyEstablished:
		return viewDevice(apiv1.EventType_EVENT_TYPE_FORWARD_SECRECY, e.Contact, "")
	case rookery.Refused:
		v := viewDevice(apiv1.EventType_EVENT_TYPE_REFUSED, e.Sender, e.Installation)
		v.Cause = printable(e.Err.Error())
		return v
	case rookery.Alarm:
		v := viewDevice(apiv1.EventType_EVENT_TYPE_ALARM, e.Contact, e.Installation)
		v.Cause = printable(e.Err.Error())
		return v
	case rookery.Unsent:
		v := viewDevice(apiv1.EventType_EVENT_TYPE_UNSENT, e.Contact, "")
		v.MessageId, v.ReceivedUnixMs = e.ID.String(), milliseconds(e.Sent)
		return v
	case rookery.Replaced:
		return viewDevice(apiv1.EventType_EVENT_TYPE_REPLACED, e.Identity.PublicKey(), "")
	}
	return &apiv1.Event{}
}

func viewMessage(kind apiv1.EventType, m rookery.Message) *apiv1.Event {
	return &apiv1.Event{
		// The sender is in the id: nobody can take that of another's message.
		Id: "m-" + m.Sender.String() + "-" + m.ID.String(), Type: kind, Durable: true,
		Contact: m.Sender.String(), Device: printable(m.Installation), MessageId: m.ID.String(), Payload: m.Payload,
		ReceivedUnixMs: milliseconds(m.Received), ForwardSecrecy: m.ForwardSecrecy,
	}
}

func viewDevice(kind apiv1.EventType, contact rookery.PublicKey, installation string) *apiv1.Event {
	return &apiv1.Event{Type: kind, Contact: contact.String(), Device: printable(installation)}
}

// milliseconds of a time of the engine (ns), 0 for none.
func milliseconds(ns int64) int64 { return ns / int64(time.Millisecond) }
