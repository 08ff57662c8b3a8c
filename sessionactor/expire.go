package sessionactor

import (
	"slices"
	"time"

	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// retention is how long an expired session still decrypts: 14 days in
// nanoseconds, as long as a replaced signed prekey is kept.
const retention = int64(14 * 24 * time.Hour)

// due tells whether an expired session has decrypted long enough.
func (s *Session) due(now int64) bool {
	return s.Status == Expired && elapsed(s.ExpiredAt, now) >= retention
}

// forget leaves of a session only what recognises its initial message again.
func (s *Session) forget() {
	s.Ratchet.Wipe()
	s.Ratchet, s.Status, s.Seen = ratchet.State{}, Forgotten, Seen{}
}

// Sweep deletes the sessions that have been expired for 14 days. Of those the
// peer started, the initial message could come again for as long as the signed
// prekey it names can be used: until then they stay as Forgotten, without a
// key. usable are our signed prekeys that still exist.
//
// Times later than now become now: else what a wrong clock has stamped would
// never be deleted. A clock that shows a time before there were bundles is the
// wrong one itself.
func (s Sessions) Sweep(usable []x3dh.PreKeyPublic, now int64) (Sessions, Change) {
	next := s
	next.List = nil
	change := Change{Active: s.Active}
	for _, session := range s.List {
		future := now >= x3dh.EarliestTimestamp && (session.Created > now || session.ExpiredAt > now)
		due, forgotten := session.due(now), session.Status == Forgotten
		replayable := !session.Initiator && slices.Contains(usable, session.PreKey)
		if due {
			change.tell(session.ID, Deleted, RetentionOver)
		}
		if (due || forgotten) && !replayable {
			change.Drop = append(change.Drop, session.ID)
			continue
		}
		if due || future {
			copied := *session
			session = &copied
			change.Put = append(change.Put, session)
		}
		if future {
			session.Created, session.ExpiredAt = min(session.Created, now), min(session.ExpiredAt, now)
		}
		if due {
			session.forget()
			change.Forget = append(change.Forget, session.ID)
		}
		next.List = append(next.List, session)
	}
	return next, change
}

// Delete deletes all sessions.
func (s Sessions) Delete() (Sessions, Change) {
	var change Change
	for i := range s.List {
		change.Drop = append(change.Drop, s.List[i].ID)
	}
	next := s
	next.List, next.Active = nil, ID{}
	return next, change
}
