package sessionactor

import (
	"io"
	"slices"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// Change is what a step did beside its result: what has to be committed before
// the result may leave the process.
type Change struct {
	Put     []Session // new or changed, in their new form
	Drop    []ID      // deleted with their skipped message keys
	Active  ID
	Session ID // the session that encrypted or decrypted
	Skipped ratchet.Effects
	Started bool // the session is new
	Turned  bool // a DH ratchet step was made
}

// Encrypt is the step of sending one payload: pick or make the session, then
// encrypt. entry is the newest accepted entry of the peer's installation; now
// is in ns. It returns the next Sessions and leaves s as it was.
func (s Sessions) Encrypt(own *x3dh.IdentityKey, ends Ends, entry Entry, payload []byte, now int64, rand io.Reader) (Sessions, Change, wire.Part, error) {
	next := s
	next.List = slices.Clone(s.List)
	var change Change
	i := next.active()
	if i < 0 || entry.replaces(next.List[i].MadeFrom) {
		if entry.IsZero() {
			return s, Change{}, wire.Part{}, ErrNoPreKey
		}
		session, err := initiate(own, ends, entry, now, rand)
		if err != nil {
			return s, Change{}, wire.Part{}, err
		}
		if i >= 0 {
			next.expire(i, now, &change)
		}
		i = next.add(session, &change)
		next.Active, change.Started = session.ID, true
	}
	session := &next.List[i]
	state, m, err := session.Ratchet.Encrypt(payload, nil, ratchet.RandomIV, rand)
	if err != nil {
		return s, Change{}, wire.Part{}, err
	}
	change.Turned = state.Self.Public != session.Ratchet.Self.Public
	session.Ratchet = state
	change.Put = append(change.Put, *session)
	change.Active, change.Session = next.Active, session.ID
	return next, change, session.part(m), nil
}

func initiate(own *x3dh.IdentityKey, ends Ends, entry Entry, now int64, rand io.Reader) (Session, error) {
	sk, ephemeral, err := x3dh.Initiate(own, ends.Peer, entry.PreKey, rand)
	if err != nil {
		return Session{}, err
	}
	defer sk.Wipe()
	remote := ratchet.Secp256k1PublicKey(curve.PublicKey(entry.PreKey))
	state, err := ratchet.NewInitiator(ratchet.Secp256k1, sk, remote, rand)
	if err != nil {
		return Session{}, err
	}
	return Session{
		ID:        newID(ends, &sk),
		Status:    Initiated,
		Initiator: true,
		PreKey:    entry.PreKey,
		Ephemeral: ephemeral,
		Order:     Order(sk.Bytes()[:orderSize]),
		MadeFrom:  entry,
		Created:   now,
		Ratchet:   state,
	}, nil
}

// part puts a ratchet message into its wire form. Until the peer has answered
// on this very session each message carries the X3DH header.
func (s *Session) part(m ratchet.Message) wire.Part {
	p := wire.Part{
		DR: &wire.DRHeader{
			RatchetKey:   m.Header.Key.Bytes(),
			N:            m.Header.N,
			PN:           m.Header.PN,
			SignedPreKey: wire.PublicKey(s.PreKey),
		},
		Payload: m.Ciphertext,
	}
	if s.Initiator && s.Status == Initiated {
		p.X3DH = &wire.X3DHHeader{Ephemeral: wire.PublicKey(s.Ephemeral), SignedPreKey: wire.PublicKey(s.PreKey)}
	}
	return p
}

// maxSessions bounds the sessions kept per installation of a peer; the oldest
// expired ones go first (T43).
const maxSessions = 40

// add appends a session and makes room for it. The active one stays, also when
// the new one is about to take its place: the peer may go on using it.
func (s *Sessions) add(session Session, change *Change) int {
	if len(s.List) >= maxSessions {
		oldest := 0
		for i := range s.List {
			if s.List[i].ID != s.Active {
				oldest = i
				break
			}
		}
		change.Drop = append(change.Drop, s.List[oldest].ID)
		s.List = slices.Delete(s.List, oldest, oldest+1)
	}
	s.List = append(s.List, session)
	return len(s.List) - 1
}

// expire makes a session one that only decrypts.
func (s *Sessions) expire(i int, now int64, change *Change) {
	s.List[i].Status, s.List[i].ExpiredAt = Expired, now
	change.Put = append(change.Put, s.List[i])
}
