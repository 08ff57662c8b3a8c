package main

import (
	"fmt"
	"io"
	"time"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// webhookView is a webhook as results show it.
type webhookView struct {
	ID          string `json:"id"`
	Identity    string `json:"identity"`
	URL         string `json:"url"`
	Notices     bool   `json:"notices,omitempty"`
	State       string `json:"state"` // delivering, failing or disabled
	Failures    int64  `json:"failures,omitempty"`
	Cause       string `json:"cause,omitempty"`
	Failed      string `json:"failed,omitempty"`
	Delivered   string `json:"delivered,omitempty"`
	DeadLetters int64  `json:"deadLetters"`
	Secret      string `json:"secret,omitempty"` // of create
}

// stampMS is a time of the API as results show it, "" for none.
func stampMS(ms int64) string { return stamp(ms * int64(time.Millisecond)) }

func viewWebhook(w *apiv1.Webhook) webhookView {
	v := webhookView{
		ID: w.GetId(), Identity: w.GetIdentity(), URL: w.GetUrl(), Notices: w.GetNotices(), State: "delivering",
		Failures: w.GetFailures(), Cause: w.GetCause(), Failed: stampMS(w.GetFailedUnixMs()), Delivered: stampMS(w.GetDeliveredUnixMs()),
		DeadLetters: w.GetDeadLetters(),
	}
	switch {
	case w.GetDisabled():
		v.State = "disabled"
	case w.GetFailures() > 0:
		v.State = "failing"
	}
	return v
}

func (v webhookView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, v.ID)
	field(w, "identity", "%s", v.Identity)
	field(w, "url", "%s", plain(v.URL))
	if v.Notices {
		field(w, "notices", "too")
	}
	field(w, "state", "%s", v.State)
	if v.Cause != "" {
		field(w, "failed", "%s, %d times: %s", v.Failed, v.Failures, plain(v.Cause))
	}
	if v.Delivered != "" {
		field(w, "delivered", "%s", v.Delivered)
	}
	field(w, "dead letters", "%d", v.DeadLetters)
	if v.Secret != "" {
		field(w, "secret", "%s", v.Secret)
	}
}

// letterView is a dead letter as results show it.
type letterView struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Contact  string `json:"contact,omitempty"`
	Attempts int64  `json:"attempts"`
	Cause    string `json:"cause"`
	First    string `json:"first"`
	Last     string `json:"last"`
}

func viewLetter(l *apiv1.DeadLetter) letterView {
	return letterView{
		ID: l.GetEvent().GetId(), Type: l.GetEvent().GetType().String(), Contact: l.GetEvent().GetContact(), Attempts: l.GetAttempts(),
		Cause: l.GetCause(), First: stampMS(l.GetFirstUnixMs()), Last: stampMS(l.GetLastUnixMs()),
	}
}

func (v letterView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, plain(v.ID))
	field(w, "type", "%s", v.Type)
	field(w, "tried", "%d times, from %s to %s", v.Attempts, v.First, v.Last)
	field(w, "cause", "%s", plain(v.Cause))
}

// redeliveredView tells what became of dead letters.
type redeliveredView struct {
	Delivered int64        `json:"delivered"`
	Failed    []letterView `json:"failed,omitempty"`
	Untried   int64        `json:"untried,omitempty"`
}

func (v redeliveredView) print(w io.Writer) {
	for _, l := range v.Failed {
		l.print(w)
	}
	field(w, "delivered", "%d", v.Delivered)
	field(w, "failed", "%d", len(v.Failed))
	field(w, "not tried", "%d", v.Untried)
}

// droppedView tells how many were deleted.
type droppedView struct {
	Dropped int64 `json:"dropped"`
}

func (v droppedView) print(w io.Writer) { field(w, "dropped", "%d", v.Dropped) }
