package deviceactor

import "time"

// Way is where a message goes.
type Way int

// Messages go out or come in.
const (
	Sending Way = iota
	Receiving
)

// Stage is a part of a message's way through the contact that can be timed.
type Stage int

// The stages. Messages that come in are not published.
const (
	Queued    Stage = iota // from Send.Since or Receive.Since until the contact begins with it
	Computed               // one step of a session
	Committed              // from when it is prepared until it is durable
	Published              // from then until the transport has taken it
)

// begin notes that a message has reached the contact, if it is timed.
func (a *Actor) begin(w Way, since time.Time) {
	if !since.IsZero() {
		a.config.Host.Timed(w, Queued, time.Since(since))
	}
}

// timing is how far a timed message has come; nil for the others.
type timing struct {
	way   Way
	since time.Time // the present stage has begun
}

// newTiming is nil unless the message is timed.
func newTiming(w Way, since time.Time) *timing {
	if since.IsZero() {
		return nil
	}
	return &timing{way: w}
}

// prepared notes that the records wait for the store from now on.
func (t *timing) prepared() {
	if t != nil {
		t.since = time.Now()
	}
}

// durable notes that they are there.
func (t *timing) durable(a *Actor) {
	if t != nil && !t.since.IsZero() {
		a.config.Host.Timed(t.way, Committed, time.Since(t.since))
	}
}
