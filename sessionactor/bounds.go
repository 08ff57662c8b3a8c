package sessionactor

import (
	"slices"

	"github.com/rookery-im/rookery/ratchet"
)

const (
	// maxSessions bounds the sessions that decrypt, per installation of a peer;
	// over it the oldest expired one is deleted (T43).
	maxSessions = 40
	// maxKnown bounds them together with the forgotten ones; over it the peer can
	// start no more. A peer that keeps to the rules makes one session on each of
	// our signed prekeys. Forced to rotate every hour for the 15 days that a
	// prekey lives, we have 360 of them.
	maxKnown = 360
)

// add appends a session and makes room for it. The active one stays, also when
// the new one is about to take its place: the peer may go on using it.
func (s *Sessions) add(session *Session, change *Change) {
	if s.live() >= maxSessions {
		for i := range s.List {
			if s.List[i].ID != s.Active && s.List[i].Status != Forgotten {
				s.makeRoom(i, change)
				break
			}
		}
	}
	s.List = append(s.List, session)
}

// makeRoom deletes a session. One that the peer started stays as Forgotten until
// Sweep finds its prekey gone: its initial message could come again (T27).
func (s *Sessions) makeRoom(i int, change *Change) {
	id := s.List[i].ID
	change.tell(id, Deleted, TooMany)
	if s.List[i].Initiator {
		change.Drop = append(change.Drop, id)
		s.List = slices.Delete(s.List, i, i+1)
		return
	}
	session := s.copied(i)
	session.forget()
	change.Put = append(change.Put, session)
	change.Forget = append(change.Forget, id)
}

// Crowded are skipped message keys of one session that are deleted because all
// sessions with the installation hold too many together.
type Crowded struct {
	Session ID
	Keys    []ratchet.KeyRef
}

// sessionsWorth is how many full sessions' worth of skipped message keys all
// sessions with one installation may hold together: 4,000 keys by the deployed
// limits (T24).
const sessionsWorth = 2

// crowd deletes skipped message keys until the budget holds with those that the
// change adds: the oldest keys of the oldest sessions first, those of the
// change's own session never. The ratchet bounds these by one session's worth.
func (s *Sessions) crowd(change *Change, limits ratchet.Limits) {
	if len(change.Skipped.Add) == 0 {
		return
	}
	over := len(change.Skipped.Add) - len(change.Skipped.Remove) - sessionsWorth*limits.MaxStored
	for i := range s.List {
		if skipped := s.skipped(i); skipped != nil {
			over += skipped.Len()
		}
	}
	for i := 0; i < len(s.List) && over > 0; i++ {
		keys := s.skipped(i).Refs()
		if s.List[i].ID == change.Session || len(keys) == 0 {
			continue
		}
		keys = keys[:min(over, len(keys))]
		change.Crowded = append(change.Crowded, Crowded{s.List[i].ID, keys})
		over -= len(keys)
	}
}

// skipped are the keys held for a session, nil for none. A forgotten one has
// none, though its set goes only when the change that forgets it is applied.
func (s *Sessions) skipped(i int) *ratchet.Skipped {
	if s.List[i].Status == Forgotten {
		return nil
	}
	return s.Skipped[s.List[i].ID]
}
