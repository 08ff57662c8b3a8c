package sessionactor

import "sync/atomic"

// Handover is what the contact keeps for one session actor: the state of its
// last answers for as long as the contact has not passed their records to the
// committer. Until then the store and what is in flight to it are older, and
// an actor that restarts from them would use a message key twice.
//
// The actor writes the state, one incarnation at a time; the contact only
// settles. The zero value is ready.
type Handover struct {
	unsettled atomic.Int64
	last      *Sessions
}

// Settle says that the records of one answer were passed to the committer.
func (h *Handover) Settle() { h.unsettled.Add(-1) }

// keep notes the state of an answer that is about to be given.
func (h *Handover) keep(s *Sessions) {
	h.unsettled.Add(1)
	h.last = s
}

// take gives the state to start from, nil if the store has it.
func (h *Handover) take() *Sessions {
	if h.unsettled.Load() == 0 {
		h.last = nil
	}
	return h.last
}

// release lets go of the state when the actor ends, if the store has it.
func (h *Handover) release() { h.take() }
