package rookery

import "testing"

// What is remembered of a message takes nothing that the next one could not have, and
// nothing stays once there is none, however many there were.
func TestReportedMessagesShareTheirRoom(t *testing.T) {
	var i Identity
	b := &inbox{identity: &i}
	come := func(n int) {
		for id := range n {
			i.remember(messageKey{id: MessageID{byte(id), byte(id >> 8)}}, true)
		}
		if i.crowded != (n > fewReported) {
			t.Errorf("%d messages, crowded: %v", n, i.crowded)
		}
		for id := range n {
			if key := (messageKey{id: MessageID{byte(id), byte(id >> 8)}}); !i.reported[key] {
				t.Errorf("message %d of %d is not known", id, n)
			} else {
				b.forget(key)
			}
		}
		if i.reported != nil || i.crowded {
			t.Errorf("left of %d: %v", n, i.reported)
		}
	}
	for _, n := range []int{1, fewReported, fewReported + 1, 1000, 1} {
		come(n)
	}
	// The race detector has pools lose a part of what is put into them.
	if n := testing.AllocsPerRun(100, func() { come(1) }); n > 1 {
		t.Errorf("%v objects for each message", n)
	}
}
