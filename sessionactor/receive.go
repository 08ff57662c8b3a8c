package sessionactor

import (
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// OwnPreKey is one of our signed prekeys, found for the prekey that an initial
// message names.
type OwnPreKey struct {
	Key     x3dh.PreKey
	Created int64 // ns
	// Newer are those of ours that came after it.
	Newer []x3dh.PreKeyPublic
}

// Incoming is one encrypted part addressed to us, with what the device rules
// know about its sender's installation.
type Incoming struct {
	Part wire.Part
	// Entry is the newest entry of the sender's installation, that of the
	// message itself included.
	Entry Entry
	// Sent is its entry in the bundle of this message; zero without one.
	Sent Entry
	// Heard is the latest Entry.Timestamp of the messages authenticated before
	// (ns), 0 if there is none.
	Heard int64
	// PreKey is our signed prekey named by the X3DH header; nil if there is
	// no such header or no such key.
	PreKey *OwnPreKey
}

// maxTrials bounds the MACs computed for a message whose session only its
// prekey narrows down.
const maxTrials = 4

// Decrypt is the step of receiving one part. It returns the next Sessions, the
// change to commit and the plaintext; on any error s is still the right state.
func (s Sessions) Decrypt(own *x3dh.IdentityKey, ends Ends, in Incoming, limits ratchet.Limits, now int64) (Sessions, Change, []byte, error) {
	m, prekey, err := ratchetMessage(in.Part)
	if err != nil {
		return s, Change{}, nil, err
	}
	if in.Part.X3DH != nil {
		ephemeral := x3dh.EphemeralPublic(in.Part.X3DH.Ephemeral)
		for i := range s.List {
			if s.List[i].sameInitial(prekey, ephemeral) {
				return s.decryptOn(i, m, limits, now)
			}
		}
		return s.respond(own, ends, in, m, limits, now)
	}
	return s.decryptOnCandidates(prekey, m, limits, now)
}

func ratchetMessage(p wire.Part) (m ratchet.Message, prekey x3dh.PreKeyPublic, err error) {
	if p.DR == nil {
		return m, prekey, fmt.Errorf("%w: no ratchet header", ErrHeader)
	}
	if p.X3DH != nil && p.X3DH.SignedPreKey != p.DR.SignedPreKey {
		return m, prekey, fmt.Errorf("%w: two signed prekeys", ErrHeader)
	}
	key, err := ratchet.NewPublicKey(p.DR.RatchetKey)
	if err != nil {
		return m, prekey, err
	}
	m = ratchet.Message{
		Header:     ratchet.Header{Key: key, N: p.DR.N, PN: p.DR.PN},
		Ciphertext: p.Payload,
	}
	return m, x3dh.PreKeyPublic(p.DR.SignedPreKey), nil
}

// decryptOnCandidates tries the sessions of the named prekey: those that know
// the ratchet key first, then the newest.
func (s Sessions) decryptOnCandidates(prekey x3dh.PreKeyPublic, m ratchet.Message, limits ratchet.Limits, now int64) (Sessions, Change, []byte, error) {
	var candidates []int
	for i := len(s.List) - 1; i >= 0; i-- {
		if s.List[i].PreKey != prekey {
			continue
		}
		if s.List[i].Ratchet.Remote == m.Header.Key || s.Skipped[s.List[i].ID].Knows(m.Header.Key) {
			candidates = slices.Insert(candidates, 0, i)
		} else {
			candidates = append(candidates, i)
		}
	}
	err := ErrNoSession
	for n, i := range candidates {
		if n == maxTrials {
			break
		}
		next, change, plaintext, cause := s.decryptOn(i, m, limits, now)
		if cause == nil {
			return next, change, plaintext, nil
		}
		if n == 0 {
			err = cause // the likeliest session says best what is wrong
		}
	}
	return s, Change{}, nil, err
}

// decryptOn decrypts with a known session. Nothing is reset by it; an initiated
// session is established, since the peer has answered on it.
func (s Sessions) decryptOn(i int, m ratchet.Message, limits ratchet.Limits, now int64) (Sessions, Change, []byte, error) {
	session := s.List[i]
	state, effects, plaintext, err := session.Ratchet.Decrypt(s.Skipped[session.ID], m, nil, limits)
	if err != nil {
		return s, Change{}, nil, err
	}
	turned := state.Remote != session.Ratchet.Remote
	session.Ratchet = state
	switch session.Status {
	case Initiated:
		session.Status = Established
	case Expired:
		session.ExpiredAt = now // the peer may go on using it
	case Established:
	}
	next := s
	next.List = slices.Clone(s.List)
	next.List[i] = session
	return next, Change{Put: []Session{session}, Active: next.Active, Session: session.ID, Skipped: effects, Turned: turned}, plaintext, nil
}

// respond makes a session from an initial message. It exists only if the
// message decrypts with it.
func (s Sessions) respond(own *x3dh.IdentityKey, ends Ends, in Incoming, m ratchet.Message, limits ratchet.Limits, now int64) (Sessions, Change, []byte, error) {
	if in.PreKey == nil {
		return s, Change{}, nil, ErrUnknownPreKey
	}
	ephemeral := x3dh.EphemeralPublic(in.Part.X3DH.Ephemeral)
	sk, err := x3dh.Respond(own, &in.PreKey.Key, ends.Peer, ephemeral)
	if err != nil {
		return s, Change{}, nil, err
	}
	defer sk.Wipe()
	initial, err := ratchet.NewResponder(ratchet.Secp256k1, sk, ratchet.Secp256k1KeyPair(in.PreKey.Key.Pair()))
	if err != nil {
		return s, Change{}, nil, err
	}
	defer initial.Wipe()
	state, effects, plaintext, err := initial.Decrypt(nil, m, nil, limits)
	if err != nil {
		return s, Change{}, nil, err
	}
	session := Session{
		ID:        newID(ends, &sk),
		Status:    Established,
		PreKey:    in.PreKey.Key.Public(),
		Ephemeral: ephemeral,
		Order:     Order(sk.Bytes()[:orderSize]),
		MadeFrom:  in.Entry,
		Created:   now,
		Ratchet:   state,
	}
	next := s
	next.List = slices.Clone(s.List)
	change := Change{Started: true, Turned: true}
	active := next.active()
	takesOver := active < 0 || next.List[active].yields(&session, in)
	if !takesOver {
		session.Status, session.ExpiredAt = Expired, now
	} else if active >= 0 {
		next.expire(active, now, &change)
	}
	next.add(session, &change)
	if takesOver {
		next.Active = session.ID
	}
	change.Put = append(change.Put, session)
	change.Active, change.Session, change.Skipped = next.Active, session.ID, effects
	return next, change, plaintext, nil
}

// yields tells whether the active session gives way to one that the peer has
// just started, so that both sides settle alike.
//
// Prekeys tell which of two sessions is the later one: a session on a prekey
// that is younger than ours is, and one whose message was sent before the prekey
// that ours rests on is not. Where they do not tell, a peer that we have heard
// of since (its bundle was signed later than anything from it) made its session
// anew. All others are concurrent: the smaller symmetric key wins
// (54, Concurrent Sessions).
func (s *Session) yields(peers *Session, in Incoming) bool {
	switch {
	case !s.Initiator && peers.PreKey != s.PreKey:
		return !slices.Contains(in.PreKey.Newer, s.PreKey)
	case s.Initiator && in.PreKey.Created > s.Created:
		return true
	case s.Initiator && !in.Sent.IsZero() && s.MadeFrom.replaces(in.Sent):
		return false
	case s.Status == Established && in.Heard != 0 && in.Sent.Timestamp > in.Heard:
		return true
	}
	return peers.Order.before(s.Order)
}

// Apply merges a committed change into the skipped message keys. It is the one
// place where the sets change, and is called once per Change, in order.
func (s *Sessions) Apply(change Change) {
	for _, id := range change.Drop {
		if set := s.Skipped[id]; set != nil {
			set.Wipe()
			delete(s.Skipped, id)
		}
	}
	if len(change.Skipped.Add) == 0 && len(change.Skipped.Remove) == 0 {
		return
	}
	if s.Skipped == nil {
		s.Skipped = make(map[ID]*ratchet.Skipped)
	}
	set := s.Skipped[change.Session]
	if set == nil {
		set = &ratchet.Skipped{}
		s.Skipped[change.Session] = set
	}
	set.Apply(change.Skipped)
}
