package deviceactor

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
)

// T33: a device of our own identity that was not approved here cannot say what
// we have written to whom; an approved one can.
func TestCopyOfAnUnapprovedDeviceIsDropped(t *testing.T) {
	c := Copy{Recipient: [33]byte{2, 7}, Payload: []byte("in our name")}
	payload, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		enabled  bool
		kind     kind
		payload  []byte
		reported bool
	}{
		{"approved", true, ratchets, payload, true},
		{"not approved", false, ratchets, payload, false},
		{"approved, but outside of a session", true, dhOnly, payload, false},
		{"not approved, not a copy", false, ratchets, []byte("of another implementation"), true},
	} {
		own := Contact{Identity: here.Own}.put(Installation{ID: "other", Enabled: test.enabled, FirstSeen: 1})
		r := Reading{Message: &wire.Message{InstallationID: "other"}, kind: test.kind, part: &wire.Part{DH: &wire.DHHeader{}}}
		next, e, err := own.Receive(here, r, test.payload, noon)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var received, refused int
		for _, event := range e.Events {
			switch event := event.(type) {
			case MessageReceived:
				received++
			case MessageRefused:
				if !errors.Is(event.Err, ErrNotApproved) {
					t.Errorf("%s: refused with %v", test.name, event.Err)
				}
				refused++
			}
		}
		if (received == 1) != test.reported || (refused == 1) == test.reported {
			t.Errorf("%s: %d received, %d refused", test.name, received, refused)
		}
		if in, _ := next.Find("other"); in.Active != noon {
			t.Errorf("%s: not noted as active", test.name)
		}
	}
}
