package jetstream

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
)

// sent is the n-th message that a consumer has sent, with this sequence in the stream.
func sent(n, seq int) *nats.Msg {
	return &nats.Msg{
		Subject: "rookery.a",
		Reply:   fmt.Sprintf("$JS.ACK.rookery.consumer.1.%d.%d.1700000000000000000.7", seq, n),
		Sub:     &nats.Subscription{},
	}
}

func TestMessageLostOnItsWayIsNoticed(t *testing.T) {
	w := &window{inbox: "_INBOX.x", live: true, open: []request{{1, 2}, {2, 2}}}
	for n, seq := range []int{0, 5, 9, 11} {
		if n == 0 {
			continue
		}
		d, err := w.delivered(sent(n, seq))
		if err != nil || d.seq != uint64(seq) || d.pending != 7 || d.at != 1_700_000_000_000_000_000 {
			t.Fatalf("message %d: %+v, %v", n, d, err)
		}
	}
	if len(w.open) != 1 || w.open[0] != (request{2, 1}) {
		t.Errorf("open requests are %v", w.open)
	}
	if _, err := w.delivered(sent(5, 20)); !errors.Is(err, errGone) {
		t.Errorf("the message after a lost one gives %v", err)
	}
}

func TestHeartbeatTellsOfALostLastMessage(t *testing.T) {
	beat := func(sent, through string) *nats.Msg {
		return &nats.Msg{Subject: "_INBOX.x.1", Header: nats.Header{
			"Status": {"100"}, "Nats-Last-Consumer": {sent}, "Nats-Last-Stream": {through},
		}}
	}
	w := &window{inbox: "_INBOX.x", live: true, came: 3}
	if err := w.status(beat("3", "40")); err != nil || w.through != 40 {
		t.Errorf("nothing was lost: %v, through %d", err, w.through)
	}
	if err := w.status(beat("4", "41")); !errors.Is(err, errGone) || w.through != 40 {
		t.Errorf("a message was lost: %v, through %d", err, w.through)
	}
}

func TestStatusesEndRequestsOrTheWindow(t *testing.T) {
	for _, test := range []struct {
		status string
		live   bool
		err    error
		open   int
	}{
		{"408", true, nil, 1},
		{"404", true, nil, 1},
		{"404", false, errEnd, 1},
		{"409", true, errGone, 2},
		{"503", true, errGone, 2},
		{"", true, errGone, 2},
	} {
		w := &window{inbox: "_INBOX.x", live: test.live, open: []request{{1, 5}, {2, 5}}}
		err := w.status(&nats.Msg{Subject: "_INBOX.x.2", Header: nats.Header{"Status": {test.status}}})
		if !errors.Is(err, test.err) || len(w.open) != test.open {
			t.Errorf("status %q: %v, %d requests open", test.status, err, len(w.open))
		}
	}
}
