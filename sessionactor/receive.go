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
	Key x3dh.PreKey
	// Newer are those of ours that came after it.
	Newer []x3dh.PreKeyPublic
}

// Incoming is one encrypted part addressed to us, with what the device rules
// know about its sender's installation.
type Incoming struct {
	Part *wire.Part // not nil, and not changed
	// Entry is the newest entry of the sender's installation, that of the
	// message itself included.
	Entry Entry
	// Sent is its entry in the bundle of this message; zero without one.
	Sent Entry
	// Heard is when the newest bundle was signed that came from the installation
	// itself before this message (ns), 0 if none has.
	Heard int64
	// Claimed is its prekey in a bundle of this message that was not believed,
	// say since its clock is wrong; zero without one. It is believed no further
	// than that the session was made beside it.
	Claimed x3dh.PreKeyPublic
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
				if s.List[i].Status == Forgotten {
					return s, Change{}, nil, ratchet.ErrMessageKeyGone
				}
				return s.decryptOn(i, m, seenMessage(&m), limits, now)
			}
		}
		return s.respond(own, ends, in, m, limits, now)
	}
	return s.decryptOnCandidates(prekey, m, limits, now)
}

func ratchetMessage(p *wire.Part) (m ratchet.Message, prekey x3dh.PreKeyPublic, err error) {
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
	seen := seenMessage(&m)
	for i := len(s.List) - 1; i >= 0; i-- {
		if s.List[i].PreKey != prekey || s.List[i].Status == Forgotten {
			continue
		}
		if s.List[i].Ratchet.Remote == m.Header.Key || s.List[i].Seen.knows(seen) || s.Skipped[s.List[i].ID].Knows(m.Header.Key) {
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
		next, change, plaintext, cause := s.decryptOn(i, m, seen, limits, now)
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
func (s Sessions) decryptOn(i int, m ratchet.Message, seen SeenMessage, limits ratchet.Limits, now int64) (Sessions, Change, []byte, error) {
	was := s.List[i]
	if was.due(now) {
		return s, Change{}, nil, ErrNoSession // Sweep is about to delete it
	}
	if err := was.Seen.check(seen); err != nil {
		return s, Change{}, nil, err
	}
	state, effects, plaintext, err := was.Ratchet.Decrypt(s.Skipped[was.ID], m, nil, limits)
	if err != nil {
		return s, Change{}, nil, err
	}
	change := Change{Active: s.Active, Session: was.ID, Skipped: effects}
	next, session := s.fork(i, &change)
	change.Turned = state.Remote != session.Ratchet.Remote
	session.Ratchet = state
	session.Seen.add(seen)
	switch session.Status {
	case Initiated:
		session.Status = Established
		change.tell(session.ID, BecameEstablished, FirstMessage)
	case Expired:
		session.ExpiredAt = max(session.ExpiredAt, now) // the peer may go on using it
	case Established, Forgotten:
	}
	next.crowd(&change, limits)
	return next, change, plaintext, nil
}

// respond makes a session from an initial message. It exists only if the
// message decrypts with it.
func (s Sessions) respond(own *x3dh.IdentityKey, ends Ends, in Incoming, m ratchet.Message, limits ratchet.Limits, now int64) (Sessions, Change, []byte, error) {
	if in.PreKey == nil {
		return s, Change{}, nil, ErrUnknownPreKey
	}
	if len(s.List) >= maxKnown {
		return s, Change{}, nil, ErrTooManySessions
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
	session := &Session{
		Origin: &Origin{
			ID:        newID(ends, &sk),
			PreKey:    in.PreKey.Key.Public(),
			Ephemeral: ephemeral,
			Order:     Order(sk.Bytes()[:orderSize]),
			MadeFrom:  in.madeFrom(),
		},
		Status:  Established,
		Created: now,
		Ratchet: state,
	}
	session.Seen.add(seenMessage(&m))
	next := s
	next.List = slices.Clone(s.List)
	change := Change{Session: session.ID, Skipped: effects, Started: true, Turned: true}
	next.settle(session, ends, in, now, &change)
	next.crowd(&change, limits)
	return next, change, plaintext, nil
}

// settle adds a session that the peer has made and decides whether it is used.
func (s *Sessions) settle(session *Session, ends Ends, in Incoming, now int64, change *Change) {
	change.tell(session.ID, BecameEstablished, FirstMessage)
	active, id := s.active(), session.ID
	if active >= 0 {
		takesOver, cause := s.List[active].yields(session, ends, &in)
		if takesOver {
			s.expire(active, now, change, cause)
			change.tell(id, Replaced, cause)
		} else {
			id = s.Active
			session.Status, session.ExpiredAt = Expired, now
			change.tell(session.ID, BecameExpired, cause)
		}
	}
	s.add(session, change)
	s.Active, change.Active = id, id
	change.Put = append(change.Put, session)
}

// Apply merges a committed change into the skipped message keys. It is the one
// place where the sets change, and is called once per Change, in order.
func (s *Sessions) Apply(change Change) {
	for _, id := range slices.Concat(change.Drop, change.Forget) {
		if set := s.Skipped[id]; set != nil {
			set.Wipe()
			delete(s.Skipped, id)
		}
	}
	for _, c := range change.Crowded {
		s.Skipped[c.Session].Apply(ratchet.Effects{Remove: c.Keys})
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
