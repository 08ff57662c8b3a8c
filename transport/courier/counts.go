package courier

import "sync/atomic"

// Counts are what a courier has done since it was made. Of messages that come,
// each is counted once under the first that fits.
type Counts struct {
	// Received messages came from the carrier, live or from the history.
	Received uint64
	// Unwanted were on a topic that nobody listens to, Repeated were dealt with or
	// under way already.
	Unwanted, Repeated uint64
	// Foreign ones are opened by no key that is here, Malformed by none at all.
	Foreign, Malformed uint64
	// Unsigned ones have no sender, Misattributed ones another than may be on the
	// topic, Echoes are our own.
	Unsigned, Misattributed, Echoes uint64
	// Segments were kept until the rest has come.
	Segments uint64
	// Outdated contact codes were found in the history with newer ones.
	Outdated uint64
	// Delivered counts envelopes that a subscriber has dealt with, Refused those that
	// he will be given again, Left those that will be fetched from the history.
	Delivered, Refused, Left uint64

	// Published messages were taken by the network with all their envelopes,
	// Unpublished ones were not.
	Published, Unpublished uint64
	// Envelopes were handed to the carrier.
	Envelopes uint64

	// Readings of the history came to an end, FailedReadings did not. Lies are places
	// in it that cannot be.
	Readings, FailedReadings, Lies uint64
	// Writes to the store that were done, and that were not.
	Writes, FailedWrites uint64
	// Panics are messages that could not be opened for a bug.
	Panics uint64
}

// counters are Counts that are counted.
type counters struct {
	received, unwanted, repeated, foreign, malformed, unsigned, misattributed, echoes, segments, outdated,
	delivered, refused, left, published, unpublished, envelopes, readings, failedReadings, lies,
	writes, failedWrites, panics atomic.Uint64
}

// Counts gives what was done so far.
func (c *Courier) Counts() Counts {
	n := &c.counts
	return Counts{
		Received:       n.received.Load(),
		Unwanted:       n.unwanted.Load(),
		Repeated:       n.repeated.Load(),
		Foreign:        n.foreign.Load(),
		Malformed:      n.malformed.Load(),
		Unsigned:       n.unsigned.Load(),
		Misattributed:  n.misattributed.Load(),
		Echoes:         n.echoes.Load(),
		Segments:       n.segments.Load(),
		Outdated:       n.outdated.Load(),
		Delivered:      n.delivered.Load(),
		Refused:        n.refused.Load(),
		Left:           n.left.Load(),
		Published:      n.published.Load(),
		Unpublished:    n.unpublished.Load(),
		Envelopes:      n.envelopes.Load(),
		Readings:       n.readings.Load(),
		FailedReadings: n.failedReadings.Load(),
		Lies:           n.lies.Load(),
		Writes:         n.writes.Load(),
		FailedWrites:   n.failedWrites.Load(),
		Panics:         n.panics.Load(),
	}
}
