package sessionactor

// Outlook is what the next message to an installation would do, as the rules of
// sending say now.
type Outlook uint8

// What the next message does.
const (
	// NeedsPreKey: it is refused, no signed prekey of the installation is known.
	NeedsPreKey Outlook = iota + 1
	// NeedsNewerPreKey: it is refused with ErrStalePreKey.
	NeedsNewerPreKey
	// Starts: it starts the first session.
	Starts
	// Rekeys: it starts a session that replaces the one in use, since the
	// installation has a newer signed prekey.
	Rekeys
	// Continues: it goes on the session in use.
	Continues
	// Repeats: it goes on the session in use, which nobody has answered: it carries
	// what starts the session once more.
	Repeats
)

// Outlook tells what the next message would do with the newest entry that is known of
// the installation, at the time now (ns).
func (s *Sessions) Outlook(entry Entry, now int64) Outlook {
	i := s.active()
	if i < 0 || entry.replaces(s.List[i].MadeFrom) {
		switch {
		case entry.IsZero():
			return NeedsPreKey
		case !entry.Usable(now):
			return NeedsNewerPreKey
		case i < 0:
			return Starts
		}
		return Rekeys
	}
	switch session := s.List[i]; {
	case session.Status != Initiated:
		return Continues
	case !entry.Usable(now) && !session.MadeFrom.Usable(now):
		return NeedsNewerPreKey
	}
	return Repeats
}

// DeletedAt gives when the keys of an expired session are deleted, if nothing more comes
// on it (ns); 0 for one that is not expired.
func (s *Session) DeletedAt() int64 {
	if s.Status != Expired {
		return 0
	}
	return s.ExpiredAt + retention
}

// UsableUntil gives when the owner may have destroyed the prekey (ns).
func (e Entry) UsableUntil() int64 { return e.Timestamp + preKeyLife }
