package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport"
)

const (
	toBob  = transport.Topic("personal/bob")
	moment = time.Millisecond
)

// collect runs a network until nothing is due any more, in lives of 50 ms, and
// counts the deliveries of each payload. answer says whether the child has
// dealt with one before it dies.
func collect(n *network, now time.Time, lives int, answer func(payload string) bool) map[string]int {
	got := make(map[string]int)
	for range lives {
		n.begin(now)
		n.listen(toBob, 1)
		for range 50 {
			due, _ := n.flush(now)
			for _, f := range due {
				payload := string(f.Envelope.Payload)
				got[payload]++
				if answer(payload) {
					n.done(f.Number, true, now)
				}
			}
			now = now.Add(moment)
		}
	}
	return got
}

// T18: whatever faults there are, an envelope is delivered until the other side
// has dealt with it.
func TestNetworkKeepsAnEnvelopeUntilItIsDealtWith(t *testing.T) {
	now := time.Unix(1, 0)
	n := newNetwork(newDice(3))
	n.begin(now)
	n.listen(toBob, 1)
	accepted := make(map[string]bool)
	for i := range 300 {
		payload := fmt.Sprint(i)
		accepted[payload] = n.publish(transport.Envelope{Topic: toBob, Payload: []byte(payload)}, now)
	}
	tries := make(map[string]int)
	got := collect(n, now, 12, func(payload string) bool {
		tries[payload]++
		return tries[payload] > 2 // its first two deliveries are cut by a kill
	})
	refused, twice := 0, 0
	for payload, taken := range accepted {
		switch {
		case !taken:
			refused++
			if got[payload] > 0 {
				t.Errorf("%s was refused, and delivered", payload)
			}
		case got[payload] < 3:
			t.Errorf("%s was delivered %d times, and dealt with never", payload, got[payload])
		case got[payload] > 3:
			twice++
		}
	}
	if refused == 0 || twice == 0 || len(n.parcels) > 0 {
		t.Errorf("%d refused, %d delivered more often than needed, %d left", refused, twice, len(n.parcels))
	}
}

func TestCalmNetworkDeliversAllAtOnceInOrder(t *testing.T) {
	now := time.Unix(1, 0)
	n := newNetwork(newDice(4))
	n.begin(now)
	for i := range 100 {
		n.publish(transport.Envelope{Topic: toBob, Payload: []byte(fmt.Sprint(i))}, now)
	}
	n.begin(now)
	n.calm(now)
	n.listen(toBob, 9)
	due, next := n.flush(now)
	if len(due) < 95 || !next.IsZero() {
		t.Fatalf("%d deliveries, next at %v", len(due), next)
	}
	for i, f := range due {
		if f.Target != 9 || i > 0 && f.Number <= due[i-1].Number {
			t.Errorf("delivery %d of subscription %d after %d", f.Number, f.Target, due[max(i, 1)-1].Number)
		}
	}
	if again, _ := n.flush(now); len(again) > 0 {
		t.Errorf("%d are delivered while the child has them", len(again))
	}
	n.done(due[0].Number, false, now)
	if again, at := n.flush(now); len(again) > 0 || !at.Equal(now.Add(redeliver)) {
		t.Errorf("%d at once, the next at %v", len(again), at)
	}
	if again, _ := n.flush(now.Add(redeliver)); len(again) != 1 {
		t.Errorf("%d after a refusal", len(again))
	}
}

func TestNetworkDeliversOnlyToWhoListens(t *testing.T) {
	now := time.Unix(1, 0)
	n := newNetwork(newDice(5))
	n.begin(now)
	n.calm(now)
	n.publish(transport.Envelope{Topic: "contact-code/alice"}, now)
	n.publish(transport.Envelope{Topic: toBob}, now)
	n.listen(toBob, 1)
	n.deaf(1)
	if due, _ := n.flush(now); len(due) > 0 {
		t.Errorf("delivered to nobody: %v", due)
	}
	n.listen(toBob, 2)
	if due, _ := n.flush(now); len(due) != 1 || due[0].Target != 2 {
		t.Errorf("deliveries %v", due)
	}
	if len(n.parcels) != 1 {
		t.Errorf("%d parcels, that of a topic without a listener should be gone", len(n.parcels))
	}
}
