package sessionactor

// Summary is a session without anything secret.
type Summary struct {
	ID        ID
	Status    Status
	InUse     bool  // it is what is sent on
	Initiator bool  // we started it
	Created   int64 // ns
	// Skipped is how many keys are kept for messages that may come late.
	Skipped int
	// DeletedAt is when the keys of an expired session are deleted (ns), else 0.
	DeletedAt int64
}

// Summaries are those of all sessions, in the order they were made.
func (s *Sessions) Summaries() []Summary {
	all := make([]Summary, len(s.List))
	for i := range s.List {
		session := s.List[i]
		all[i] = Summary{
			ID: session.ID, Status: session.Status, InUse: session.ID == s.Active, Initiator: session.Initiator,
			Created: session.Created, DeletedAt: session.DeletedAt(),
		}
		if kept := s.Skipped[session.ID]; kept != nil {
			all[i].Skipped = kept.Len()
		}
	}
	return all
}
