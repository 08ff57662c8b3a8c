package sessionactor

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// yields tells whether the active session gives way to one that the peer has
// made, and why the one of the two that is not used expires (docs/adr/0009).
//
// A session is made with one prekey of each side: the responder's, and the one
// that the initiator's bundle had then. Of two sessions the one with the younger
// prekeys is the later one, and is used. If each has one younger prekey, those of
// the end whose key is first in byte order count. Both sides put all sessions in
// the same order by this, in whatever order they learn of them.
//
// Where prekeys do not tell, the peer may have lost its state and made its
// session anew: then its bundle was signed later than anything heard from it on
// the established one. All others are concurrent: the smaller symmetric key wins
// (54, Concurrent sessions).
func (s *Session) yields(peers *Session, ends Ends, in *Incoming) (bool, Cause) {
	made := in.madeWith()
	ours, theirs := s.compareOwn(in.PreKey), s.comparePeer(made)
	if !ends.ownFirst() {
		ours, theirs = theirs, ours
	}
	switch later := cmp.Or(ours, theirs); {
	case later > 0:
		return true, PeerStartedOver
	case later < 0:
		return false, MadeEarlier
	case s.Status == Established && in.Heard != 0 && made.Timestamp > in.Heard:
		return true, PeerStartedOver
	}
	return peers.Order.before(s.Order), ConcurrentStart
}

// compareOwn tells by its sign whether the prekey of ours that the peer took is
// younger than the one that s was made with.
func (s *Session) compareOwn(taken *OwnPreKey) int {
	own := s.Own.PreKey
	if !s.Initiator {
		own = s.PreKey
	}
	switch {
	case own == taken.Key.Public() || own == x3dh.PreKeyPublic{}:
		return 0
	case slices.Contains(taken.Newer, own):
		return -1
	}
	return 1
}

// comparePeer tells by its sign whether the prekey of the peer that it made its
// session with is younger than the one that s was made with. Of a session of the
// peer's only the newest entry known then was noted, which may be younger than
// its own: so it tells of a later one, as of a peer that has lost its state, and
// not of an earlier one.
func (s *Session) comparePeer(made Entry) int {
	later := made.compare(s.MadeFrom)
	if made.IsZero() || !s.Initiator && later < 0 {
		return 0
	}
	return later
}

// ownFirst tells whose prekeys come first in the order of sessions.
func (e *Ends) ownFirst() bool {
	return cmp.Or(bytes.Compare(e.Own[:], e.Peer[:]), cmp.Compare(e.OwnInstallation, e.PeerInstallation)) < 0
}

// madeWith is the peer's own prekey when it made the session of an initial
// message: what the header says, or else what the bundle beside it has.
func (in *Incoming) madeWith() Entry {
	if in.Part.X3DH == nil || in.Part.X3DH.MadeWith == (wire.PreKeyStamp{}) {
		return in.Sent
	}
	k := in.Part.X3DH.MadeWith
	return Entry{PreKey: x3dh.PreKeyPublic(k.Key), Version: k.Version, Timestamp: k.Timestamp}
}

// madeFrom is the peer's entry that a session of the peer's counts as made from.
// A prekey that the peer already had when it made the session is no reason to
// start over, even if it becomes known only later.
func (in *Incoming) madeFrom() Entry {
	e := in.Entry
	if in.Claimed != (x3dh.PreKeyPublic{}) {
		e.PreKey = in.Claimed
	}
	return e
}

// stamp is what goes with the X3DH header if our bundle has another prekey by
// now than the session was made with.
func (s *Session) stamp(own Entry) wire.PreKeyStamp {
	if s.Own.IsZero() || s.Own.PreKey == own.PreKey {
		return wire.PreKeyStamp{}
	}
	return wire.PreKeyStamp{Key: wire.PublicKey(s.Own.PreKey), Version: s.Own.Version, Timestamp: s.Own.Timestamp}
}
