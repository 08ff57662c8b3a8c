package memory

import "time"

// Options are what a network is like. Zero values give one without faults that
// keeps the last 1<<16 messages.
type Options struct {
	// Seed decides all faults.
	Seed   uint64
	Faults Faults
	// History is what is kept.
	History History
	// Queue is how many messages wait for one receiver before further ones pass it
	// by, and how many publications wait to be accepted (1024 if 0).
	Queue int
	// Now is the clock of the network (time.Now if nil).
	Now func() time.Time
}

// Faults are how often, in 0..1, something goes wrong. Those of a delivery are
// drawn for each message and carrier.
type Faults struct {
	// Busy: the network refuses a message with ErrBusy and does not take it.
	Busy float64
	// Unsure: it takes a message and tells the publisher ErrUnreachable.
	Unsure float64
	// Loss: a message is not delivered to a carrier, which does not learn of it.
	Loss float64
	// Corrupt: a byte of the payload is another one when it is delivered.
	Corrupt float64
	// Duplicate: a message is delivered once more, up to Overtaken messages later.
	Duplicate float64
	// Reorder: up to Overtaken later messages of the carrier overtake a message. It
	// waits for them for at most HeldBack.
	Reorder float64
	// Foreign: a message of a topic that a carrier has not subscribed is delivered to it.
	Foreign float64
	// Delay is how long a delivery takes at most, and how long the publisher waits at
	// most to be told. It changes no order.
	Delay time.Duration
}

const (
	// Overtaken is how many messages may overtake one.
	Overtaken = 16
	// HeldBack is how long a message waits at most to be overtaken.
	HeldBack = 50 * time.Millisecond
)

// History is what a network keeps, and how often, in 0..1, it is wrong.
type History struct {
	// Off: nothing is kept, and asking gives ErrNoHistory.
	Off bool
	// Count is how many messages are kept (1<<16 if 0), Age for how long (0: forever).
	Count int
	Age   time.Duration
	// Misses: a message that was published is not kept.
	Misses float64
	// Lies: the place of a message is told wrong, by up to an hour.
	Lies float64
	// Corrupt: a byte of the payload is another one.
	Corrupt float64
	// Fails: asking ends with ErrUnreachable at a message, the first time.
	Fails float64
}

// Counts say what the network did.
type Counts struct {
	// Published messages were taken, Busy ones were not.
	Published, Busy uint64
	// Delivered counts calls of Deliver; Lost, Corrupted, Duplicated, Reordered and
	// Foreign what went wrong for each of them; Missed what passed by a carrier that
	// was cut off or whose queue was full.
	Delivered, Lost, Corrupted, Duplicated, Reordered, Foreign, Missed uint64
	// Unkept messages were published and not taken into the history.
	Unkept uint64
}
