package sessionactor

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"time"

	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// Ends are the two ends of every session of one actor: a hosted installation
// and one installation of a peer.
type Ends struct {
	Own              x3dh.IdentityPublicKey
	OwnInstallation  string
	Peer             x3dh.IdentityPublicKey
	PeerInstallation string
}

// ID names one session among all sessions that ever were: a hash of both
// identity keys, both installation ids and SK. Two peers that are alike in all
// but one of these never share a session (T35).
type ID [16]byte

// String gives the id in hexadecimal; it is not secret.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

func newID(ends Ends, sk *x3dh.SharedKey) ID {
	h := sha256.New()
	part := func(b []byte) {
		h.Write([]byte{byte(len(b))}) //nolint:gosec // ids are at most 100 bytes
		h.Write(b)
	}
	part([]byte("rookery session"))
	part(ends.Own[:])
	part([]byte(ends.OwnInstallation))
	part(ends.Peer[:])
	part([]byte(ends.PeerInstallation))
	part(sk.Bytes())
	return ID(h.Sum(nil)[:len(ID{})])
}

// orderSize is how much of SK is kept for the byte-order rule: enough that two
// sessions never tie, far too little to give anything of SK's strength away.
const orderSize = 8

// Order is the start of a session's symmetric key. Of two concurrent sessions
// the one with the smaller Order is used (54, Concurrent Sessions).
type Order [orderSize]byte

func (o Order) before(other Order) bool { return bytes.Compare(o[:], other[:]) < 0 }

// Status is where a session is in its life.
type Status uint8

const (
	// Initiated: we sent X3DH and nothing came back on this session yet. Every
	// message still carries the X3DH header.
	Initiated Status = 1
	// Established: the peer has shown that it has the session.
	Established Status = 2
	// Expired: only decrypts.
	Expired Status = 3
	// Forgotten: deleted; only its initial message is still recognised.
	Forgotten Status = 4
)

// String names the status.
func (s Status) String() string {
	switch s {
	case Initiated:
		return "initiated"
	case Established:
		return "established"
	case Expired:
		return "expired"
	case Forgotten:
		return "forgotten"
	}
	return "unknown"
}

// Entry is a signed prekey of a peer's installation, from a bundle that was
// verified and accepted. Timestamp is when that bundle was signed (ns). The
// zero Entry is none.
type Entry struct {
	PreKey x3dh.PreKeyPublic
	// BySibling is set if another installation of the peer has signed it: then
	// Timestamp says when that one did, and the prekey may long be replaced.
	BySibling bool
	Version   uint32
	Timestamp int64
}

// IsZero tells whether there is no entry.
func (e Entry) IsZero() bool { return e == Entry{} }

// preKeyLife is how long after its bundle was signed a prekey can be taken for a
// new session: it is replaced within 24 hours and kept for 14 days after (ns).
const preKeyLife = int64(15 * 24 * time.Hour)

// Usable tells whether the owner can still have the prekey at the time now.
func (e Entry) Usable(now int64) bool { return !e.IsZero() && elapsed(e.Timestamp, now) < preKeyLife }

// compare tells by its sign which of two entries of one installation has the
// later prekey: the one signed later, and of those signed at the same time that
// of the higher version. A bundle that is merely signed again is no later one. A
// sibling only repeats what the installation has said before, so its word is
// later than that of the installation itself only if the version is higher too.
func (e Entry) compare(other Entry) int {
	switch {
	case e.PreKey == other.PreKey:
		return 0
	case e.BySibling && !other.BySibling:
		return -other.compare(e)
	case other.BySibling && !e.BySibling:
		if other.Timestamp > e.Timestamp && other.Version > e.Version {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(e.Timestamp, other.Timestamp), cmp.Compare(e.Version, other.Version))
}

// replaces tells whether sessions made from the entry old have to be made anew
// from e.
func (e Entry) replaces(old Entry) bool { return !e.IsZero() && e.compare(old) > 0 }

// elapsed is the time from then to now (ns), 0 if the clock has gone back.
func elapsed(then, now int64) int64 {
	switch d := now - then; {
	case now <= then:
		return 0
	case d < 0: // more than fits
		return math.MaxInt64
	default:
		return d
	}
}

// Session is one Double Ratchet session and what the session rules know of it.
// Its keys redact themselves. Steps change copies.
type Session struct {
	*Origin
	Status  Status
	Created int64 // ns
	// ExpiredAt is when an expired session stopped being used, or last decrypted
	// a message if that was later (ns).
	ExpiredAt int64
	Seen      Seen
	Ratchet   ratchet.State
}

// Origin is how a session was made. It is never changed: all copies of the session
// share it.
type Origin struct {
	ID        ID
	Initiator bool // we sent the X3DH header
	// PreKey is the responder's signed prekey; it stands in every header.
	PreKey x3dh.PreKeyPublic
	// Ephemeral is the initiator's key of the X3DH header. Its parity byte is no
	// part of the session.
	Ephemeral x3dh.EphemeralPublic
	// Own is our own entry in our bundle when we made the session; zero if the
	// peer did.
	Own   Entry
	Order Order
	// MadeFrom is the peer's newest entry that was known when the session was
	// made; a newer one makes us start over.
	MadeFrom Entry
}

// sameInitial tells whether an X3DH header is the one this session came from.
// The parity byte is not authenticated and does not change SK, so only the x
// coordinate counts.
func (o *Origin) sameInitial(prekey x3dh.PreKeyPublic, ephemeral x3dh.EphemeralPublic) bool {
	return o.PreKey == prekey && bytes.Equal(o.Ephemeral[1:], ephemeral[1:])
}

// Sessions are all sessions with one installation of a peer. The zero value is
// none. Steps return changed copies and never change the receiver: neither its List
// nor the sessions in it.
type Sessions struct {
	List   []*Session // in the order they were made
	Active ID         // zero: none
	// Skipped holds the skipped message keys of each session. The sets are
	// changed only by Apply.
	Skipped map[ID]*ratchet.Skipped
}

// fork gives the next Sessions with a copy of session i in its place, which the
// change puts and which may be changed until the step is over. The other sessions
// are those of s. The change shares the list: no other session comes, goes or moves in
// this step.
func (s Sessions) fork(i int, change *Change) (next Sessions, session *Session) {
	next = s
	if len(s.List) == 1 { // mostly so: one object for all
		alone := &struct {
			session Session
			list    [1]*Session
		}{session: *s.List[0]}
		session, next.List = &alone.session, alone.list[:]
	} else {
		copied := *s.List[i]
		session, next.List = &copied, slices.Clone(s.List)
	}
	next.List[i] = session
	change.Put = next.List[i : i+1 : i+1]
	return next, session
}

// copied puts a copy of session i in its place, to be changed. The list is not that of
// another Sessions.
func (s *Sessions) copied(i int) *Session {
	session := *s.List[i]
	s.List[i] = &session
	return &session
}

// live counts the sessions that still decrypt.
func (s *Sessions) live() int {
	n := 0
	for i := range s.List {
		if s.List[i].Status != Forgotten {
			n++
		}
	}
	return n
}

func (s *Sessions) find(id ID) int {
	for i := range s.List {
		if s.List[i].ID == id {
			return i
		}
	}
	return -1
}

func (s *Sessions) active() int {
	if s.Active == (ID{}) {
		return -1
	}
	return s.find(s.Active)
}
