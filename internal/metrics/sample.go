package metrics

import "sync/atomic"

const (
	// sampleAll is how many messages are timed one by one, so that an engine that is
	// little used shows something,
	sampleAll = 1024
	// sampleEvery and of how many after that one is: reading clocks and recording for
	// each would cost more than 1 % of a message.
	sampleEvery = 8
)

// Sampler picks the messages that are timed. Safe for concurrent use.
type Sampler struct{ seen atomic.Uint64 }

// Next tells whether the next message is one.
func (s *Sampler) Next() bool {
	n := s.seen.Add(1)
	return n <= sampleAll || n%sampleEvery == 0
}
