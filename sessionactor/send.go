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
	Put     []*Session // new or changed, in their new form; not to be changed
	Drop    []ID       // deleted with their skipped message keys
	Forget  []ID       // in Put too; their skipped message keys are deleted
	Active  ID
	Session ID // the session that encrypted or decrypted
	Skipped ratchet.Effects
	// Crowded are skipped message keys of other sessions that make room.
	Crowded     []Crowded
	Transitions []Transition
	Started     bool // the session is new
	Turned      bool // a DH ratchet step was made
}

func (c *Change) tell(session ID, to Lifecycle, cause Cause) {
	c.Transitions = append(c.Transitions, Transition{session, to, cause})
}

// Outgoing is a payload for the peer's installation.
type Outgoing struct {
	Payload []byte
	// Entry is the newest accepted entry of the installation.
	Entry Entry
	// Own is our entry in the bundle that goes with the message.
	Own Entry
}

// Send is the step of sending one payload: pick or make the session, then
// encrypt. now is in ns. It returns the next Sessions and leaves s as it was.
func (s Sessions) Send(own *x3dh.IdentityKey, ends Ends, out Outgoing, now int64, rand io.Reader) (Sessions, Change, wire.Part, error) {
	next, change, session, err := s.choose(own, ends, out, now, rand)
	if err != nil {
		return s, Change{}, wire.Part{}, err
	}
	state, m, err := session.Ratchet.Encrypt(out.Payload, nil, ratchet.RandomIV, rand)
	if err != nil {
		return s, Change{}, wire.Part{}, err
	}
	change.sent(session, state)
	return next, change, session.part(m, out.Own), nil
}

// choose picks the session to send on, or makes it. The session is one of the
// next Sessions, which the change puts and which may be changed.
func (s Sessions) choose(own *x3dh.IdentityKey, ends Ends, out Outgoing, now int64, rand io.Reader) (next Sessions, change Change, session *Session, err error) {
	i := s.active()
	if i < 0 || out.Entry.replaces(s.List[i].MadeFrom) {
		if out.Entry.IsZero() {
			return s, Change{}, nil, ErrNoPreKey
		}
		if !out.Entry.Usable(now) {
			return s, Change{}, nil, ErrStalePreKey
		}
		if session, err = initiate(own, ends, out, now, rand); err != nil {
			return s, Change{}, nil, err
		}
		next = s
		next.List = slices.Clone(s.List)
		if i >= 0 {
			next.expire(i, now, &change, NewerBundle)
			change.tell(session.ID, Replaced, NewerBundle)
		}
		next.add(session, &change)
		next.Active, change.Started = session.ID, true
		change.Put = append(change.Put, session)
	} else {
		next, session = s.fork(i, &change)
	}
	if session.Status == Initiated && !out.Entry.Usable(now) && !session.MadeFrom.Usable(now) {
		return s, Change{}, nil, ErrStalePreKey // nobody has answered, and nobody can any more
	}
	change.Active, change.Session = next.Active, session.ID
	return next, change, session, nil
}

// sent notes what the ratchet of the session has become.
func (c *Change) sent(session *Session, state ratchet.State) {
	c.Turned = state.Self.Public != session.Ratchet.Self.Public
	session.Ratchet = state
}

func initiate(own *x3dh.IdentityKey, ends Ends, out Outgoing, now int64, rand io.Reader) (*Session, error) {
	sk, ephemeral, err := x3dh.Initiate(own, ends.Peer, out.Entry.PreKey, rand)
	if err != nil {
		return nil, err
	}
	defer sk.Wipe()
	remote := ratchet.Secp256k1PublicKey(curve.PublicKey(out.Entry.PreKey))
	state, err := ratchet.NewInitiator(ratchet.Secp256k1, sk, remote, rand)
	if err != nil {
		return nil, err
	}
	return &Session{
		Origin: &Origin{
			ID:        newID(ends, &sk),
			Initiator: true,
			PreKey:    out.Entry.PreKey,
			Ephemeral: ephemeral,
			Own:       out.Own,
			Order:     Order(sk.Bytes()[:orderSize]),
			MadeFrom:  out.Entry,
		},
		Status:  Initiated,
		Created: now,
		Ratchet: state,
	}, nil
}

// part puts a ratchet message into its wire form. Until the peer has answered
// on this very session each message carries the X3DH header. own is our entry in
// the bundle that goes with it.
func (s *Session) part(m ratchet.Message, own Entry) wire.Part {
	var header struct {
		dr  wire.DRHeader
		key [maxRatchetKey]byte
	}
	header.dr = wire.DRHeader{
		RatchetKey:   m.Header.Key.Append(header.key[:0]),
		N:            m.Header.N,
		PN:           m.Header.PN,
		SignedPreKey: wire.PublicKey(s.PreKey),
	}
	p := wire.Part{DR: &header.dr, Payload: m.Ciphertext}
	if s.Initiator && s.Status == Initiated {
		p.X3DH = &wire.X3DHHeader{
			Ephemeral:    wire.PublicKey(s.Ephemeral),
			SignedPreKey: wire.PublicKey(s.PreKey),
			MadeWith:     s.stamp(own),
		}
	}
	return p
}

// expire makes a session one that only decrypts.
func (s *Sessions) expire(i int, now int64, change *Change, cause Cause) {
	session := s.copied(i)
	session.Status, session.ExpiredAt = Expired, now
	change.Put = append(change.Put, session)
	change.tell(session.ID, BecameExpired, cause)
}
