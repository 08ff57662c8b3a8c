package deviceactor

import "time"

// lookUpAgain is how long a contact of which nothing was found is not waited for
// again: its messages go out DH-only at once.
const lookUpAgain = int64(10 * time.Minute)

// lookUp is what waits for the contact code of a contact of which nothing is known
// (5/SECURE-TRANSPORT, Bundle Retrieval).
type lookUp struct {
	waiting []Send // not sent if the contact stops meanwhile
	number  uint64 // of this wait: an earlier one's end does not end it
	missed  int64  // ns, when one was in vain; 0: none was
}

// lookUpOver ends a wait.
type lookUpOver struct {
	by     *Actor // the incarnation that waits
	number uint64
}

// awaitsCode tells whether a first message is worth waiting for the contact's
// code, and then keeps it.
func (a *Actor) awaitsCode(m Send) bool {
	l := &a.looked
	switch {
	case a.config.LookUpWait == 0, len(a.contact.Installations) > 0, a.own(), a.contact.Blocked, a.config.View.Retired:
		return false
	case l.missed != 0 && within(l.missed, a.config.Host.Now(), lookUpAgain):
		return false
	}
	l.waiting = append(l.waiting, m)
	if len(l.waiting) > 1 {
		return true
	}
	l.number++
	over, self := lookUpOver{a, l.number}, a.self
	time.AfterFunc(a.config.LookUpWait, func() { self.Tell(over) })
	a.config.Host.LookUp(a.peer)
	return true
}

// found goes on with what waits, if there is somebody to encrypt for now.
func (a *Actor) found() {
	if len(a.contact.Installations) > 0 {
		a.sendWaiting()
	}
}

func (a *Actor) lookUpOver(m lookUpOver) {
	if m.by != a || m.number != a.looked.number || len(a.looked.waiting) == 0 {
		return
	}
	a.looked.missed = a.config.Host.Now()
	a.sendWaiting()
}

func (a *Actor) sendWaiting() {
	waiting := a.looked.waiting
	a.looked.waiting = nil
	for _, m := range waiting {
		a.send(m)
	}
}
