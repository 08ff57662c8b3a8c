package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/rookery-im/rookery"
)

// eventView is an event as listen prints it. Which fields there are depends on the
// event: docs/command-line.md.
type eventView struct {
	Event        string `json:"event"`
	Identity     string `json:"identity"` // the hosted one
	ID           string `json:"id,omitempty"`
	From         string `json:"from,omitempty"`
	To           string `json:"to,omitempty"` // of sent_elsewhere
	Chat         string `json:"chat,omitempty"`
	Contact      string `json:"contact,omitempty"`
	Installation string `json:"installation,omitempty"`
	// Text is what a message says, if it is text; Payload, in base64, if not.
	Text           *string `json:"text,omitempty"`
	Payload        string  `json:"payload,omitempty"`
	ForwardSecrecy *bool   `json:"forward_secrecy,omitempty"`
	Received       string  `json:"received,omitempty"`
	Enabled        *bool   `json:"enabled,omitempty"`
	Stale          *bool   `json:"stale,omitempty"`
	Change         string  `json:"change,omitempty"`
	Cause          string  `json:"cause,omitempty"`
}

// viewEvent is what is printed of an event; false if nothing is. all prints also what
// is for diagnosis.
func viewEvent(e rookery.Event, all bool) (eventView, bool) {
	v := eventView{Identity: e.To().PublicKey().String()}
	switch e := e.(type) {
	case rookery.Message:
		v.message("message", e)
	case rookery.ContactRequest:
		v.message("request", e.Message)
	case rookery.SentElsewhere:
		v.message("sent_elsewhere", e.Message)
		v.To = e.Recipient.String()
	case rookery.PublicMessage:
		v.message("public", e.Message)
		v.Chat = e.Chat
	case rookery.InstallationDiscovered:
		v.device("device_discovered", e.Contact, e.Installation)
		v.Enabled = &e.Enabled
	case rookery.InstallationEnabled:
		v.device("device_enabled", e.Contact, e.Installation)
		v.Enabled = &e.Enabled
	case rookery.InstallationStale:
		v.device("device_stale", e.Contact, e.Installation)
		v.Stale = &e.Stale
	case rookery.ForwardSecrecyEstablished:
		v.device("forward_secrecy", e.Contact, "")
	case rookery.Alarm:
		v.device("alarm", e.Contact, e.Installation)
		v.Cause = e.Err.Error()
	case rookery.Unsent:
		v.device("unsent", e.Contact, "")
		v.ID = e.ID.String()
	case rookery.Replaced:
		v.device("replaced", e.Identity.PublicKey(), e.Identity.InstallationID())
	case rookery.Refused:
		v.device("refused", e.Sender, e.Installation)
		v.Cause = e.Err.Error()
		return v, all
	case rookery.SessionChanged:
		v.device("session", e.Contact, e.Installation)
		v.Change, v.Cause = string(e.Change), string(e.Cause)
		return v, all
	default:
		return v, false
	}
	return v, true
}

func (v *eventView) message(event string, m rookery.Message) {
	v.Event, v.ID, v.From, v.Installation = event, m.ID.String(), m.Sender.String(), m.Installation
	v.Received, v.ForwardSecrecy = stamp(m.Received), &m.ForwardSecrecy
	if utf8.Valid(m.Payload) {
		text := string(m.Payload)
		v.Text = &text
	} else {
		v.Payload = base64.StdEncoding.EncodeToString(m.Payload)
	}
}

func (v *eventView) device(event string, contact rookery.PublicKey, installation string) {
	v.Event, v.Contact, v.Installation = event, contact.String(), installation
}

// write gives an error if it cannot be written: then it was not printed.
func (v eventView) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, v)
	}
	if _, err := fmt.Fprintln(w, v.headline()); err != nil {
		return err
	}
	switch {
	case v.Text != nil:
		return writeIndented(w, *v.Text)
	case v.Payload != "":
		return writeIndented(w, "base64: "+v.Payload)
	}
	return nil
}

// headline says on one line what has happened.
func (v eventView) headline() string {
	device := plain(v.Installation)
	switch v.Event {
	case "message", "request", "sent_elsewhere", "public":
		return v.messageHeadline()
	case "device_discovered":
		if *v.Enabled {
			return fmt.Sprintf("device   %s of %s: new, and sent to", device, v.Contact)
		}
		return fmt.Sprintf("device   %s of %s: new, waits for rookery device approve", device, v.Contact)
	case "device_enabled":
		return fmt.Sprintf("device   %s of %s: %s", device, v.Contact, map[bool]string{true: "approved", false: "disabled"}[*v.Enabled])
	case "device_stale":
		return fmt.Sprintf("device   %s of %s: %s", device, v.Contact, map[bool]string{true: "left out for a week, nothing is sent to it", false: "is back"}[*v.Stale])
	case "forward_secrecy":
		return fmt.Sprintf("secure   forward secrecy with %s from here on", v.Contact)
	case "alarm":
		return fmt.Sprintf("ALARM    %s, device %s: %s", v.Contact, device, plain(v.Cause))
	case "unsent":
		return fmt.Sprintf("UNSENT   message %s to %s: no network has taken it, and it is not tried any more", v.ID, v.Contact)
	case "replaced":
		return fmt.Sprintf("replaced %s, installation %s: the store was put back to an older state", v.Contact, device)
	case "refused":
		return fmt.Sprintf("refused  a message of %s, device %s: %s", v.Contact, device, plain(v.Cause))
	}
	return fmt.Sprintf("session  with %s, device %s: %s, %s", v.Contact, device, v.Change, v.Cause)
}

func (v eventView) messageHeadline() string {
	what := v.Event
	if what == "sent_elsewhere" {
		what = "sent"
	}
	line := fmt.Sprintf("%-8s %s from %s", what, v.ID, v.From)
	if v.To != "" {
		line += " to " + v.To
	}
	if v.Chat != "" {
		line += " in " + plain(v.Chat)
	}
	line += ", " + v.Received
	if !*v.ForwardSecrecy && v.Event != "public" {
		line += ", without forward secrecy"
	}
	return line
}
