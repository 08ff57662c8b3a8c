package replay

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"maps"
	"slices"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// peer is one installation of one identity.
type peer struct {
	identity     x3dh.IdentityPublicKey
	installation string
}

// sessionID is what makes a session unique: both identities, both installation
// ids, the signed prekey and SK.
type sessionID [32]byte

func newSessionID(n *node, p peer, prekey wire.PublicKey, sk *secret.Key) sessionID {
	h := sha256.New()
	skHash := sha256.Sum256(sk.Bytes())
	own := n.identity.Public()
	for _, part := range [][]byte{own[:], []byte(n.installation), p.identity[:], []byte(p.installation), prekey[:], skHash[:]} {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	return sessionID(h.Sum(nil))
}

// session is one Double Ratchet session of a node.
type session struct {
	id     sessionID
	peer   peer
	prekey wire.PublicKey
	state  ratchet.State
	// stored are the skipped message keys, skipped is the same for the ratchet.
	stored  map[ratchet.KeyRef]ratchet.SkippedKey
	skipped *ratchet.Skipped
	// ephemeral is EK of the agreement if we started it.
	ephemeral *wire.PublicKey
	// heard says that a message of this session has decrypted.
	heard bool

	// trace is what the driver observes; it is no part of the node's state.
	trace trace
}

// trace is what the driver remembers of a session to understand a recording.
type trace struct {
	// origin is set while the session exists in the reference only.
	origin *cause
	// next is the ratchet key that the reference made when it last turned the
	// ratchet; ours is made when it is needed.
	next hexBytes
	// delivered are the messages we have decrypted.
	delivered map[ratchet.KeyRef]delivery
	// kept are the message keys that the reference holds, used ones included,
	// each with its number.
	kept map[ratchet.KeyRef]uint64
}

// delivery is what the session was before it decrypted a message: the reference
// keeps the message's key and so can still do it again.
type delivery struct {
	state   ratchet.State
	skipped *ratchet.Skipped
}

func newSession(n *node, p peer, prekey wire.PublicKey, sk *secret.Key, state ratchet.State) *session {
	return &session{
		id:      newSessionID(n, p, prekey, sk),
		peer:    p,
		prekey:  prekey,
		state:   state,
		stored:  map[ratchet.KeyRef]ratchet.SkippedKey{},
		skipped: &ratchet.Skipped{},
		trace: trace{
			delivered: map[ratchet.KeyRef]delivery{},
			kept:      map[ratchet.KeyRef]uint64{},
		},
	}
}

// newResponder starts the session of an initial message to our prekey.
func newResponder(n *node, p peer, own *x3dh.PreKey, ephemeral wire.PublicKey) (*session, error) {
	sk, err := x3dh.Respond(&n.identity, own, p.identity, x3dh.EphemeralPublic(ephemeral))
	if err != nil {
		return nil, err
	}
	defer sk.Wipe()
	state, err := ratchet.NewResponder(ratchet.Secp256k1, sk, ratchet.Secp256k1KeyPair(own.Pair()))
	if err != nil {
		return nil, err
	}
	return newSession(n, p, wire.PublicKey(own.Public()), &sk, state), nil
}

// result is what one attempt to decrypt gave, before anything is changed.
type result struct {
	session   *session
	next      ratchet.State
	effects   ratchet.Effects
	plaintext []byte
	ref       ratchet.KeyRef
	turned    bool
	// made are the message keys that the attempt derived, the used one last.
	made []ratchet.KeyRef
}

// open tries a message on the session and changes nothing.
func (s *session) open(m ratchet.Message, ad []byte, limits ratchet.Limits) (*result, error) {
	next, effects, plaintext, err := s.state.Decrypt(s.skipped, m, ad, limits)
	if err != nil {
		return nil, err
	}
	r := &result{
		session: s, next: next, effects: effects, plaintext: plaintext,
		ref: ratchet.KeyRef{Ratchet: m.Header.Key, N: m.Header.N},
	}
	if next.KeysMade == s.state.KeysMade {
		return r, nil
	}
	r.turned = m.Header.Key != s.state.Remote
	first := s.state.Recv.N
	if r.turned {
		for n := first; n < m.Header.PN; n++ {
			r.made = append(r.made, ratchet.KeyRef{Ratchet: s.state.Remote, N: n})
		}
		first = 0
	}
	for n := first; n <= m.Header.N; n++ {
		r.made = append(r.made, ratchet.KeyRef{Ratchet: m.Header.Key, N: n})
	}
	return r, nil
}

// commit makes the result the session's state. ratchetKey is the key the
// reference made on turning its ratchet.
func (r *result) commit(ratchetKey hexBytes, limits ratchet.Limits) {
	s := r.session
	before := s.state
	if key, stored := s.stored[r.ref]; stored {
		s.trace.delivered[r.ref] = delivery{before, ratchet.NewSkipped([]ratchet.SkippedKey{key})}
	} else {
		s.trace.delivered[r.ref] = delivery{before, nil}
	}
	s.state, s.heard = r.next, true
	for _, k := range r.effects.Add {
		s.stored[k.KeyRef] = k
	}
	for _, ref := range r.effects.Remove {
		delete(s.stored, ref)
	}
	s.skipped.Apply(r.effects)
	if r.turned {
		s.trace.next = ratchetKey
	}
	s.trace.keep(r.made, before.KeysMade, limits)
}

// keep follows which keys the reference holds: all of them, used ones too,
// within its limits.
func (t *trace) keep(made []ratchet.KeyRef, first uint64, limits ratchet.Limits) {
	if len(made) == 0 {
		return
	}
	for i, ref := range made {
		t.kept[ref] = first + uint64(i)
	}
	count := first + uint64(len(made))
	if over := len(t.kept) - limits.MaxStored; over > 0 {
		refs := slices.SortedFunc(maps.Keys(t.kept), func(a, b ratchet.KeyRef) int {
			return int(int64(t.kept[a]) - int64(t.kept[b]))
		})
		for _, ref := range refs[:over] {
			delete(t.kept, ref)
		}
	}
	if count < limits.MaxKeep {
		return
	}
	for ref, seq := range t.kept {
		if seq <= count-limits.MaxKeep {
			delete(t.kept, ref)
		}
	}
}

// encrypt encrypts with the IV that is derived from the message key, as the
// reference does, and keeps the next state.
func (s *session) encrypt(plaintext []byte, f *feed) (ratchet.Message, error) {
	random := &oneKey{take: func() (hexBytes, error) {
		if s.trace.next == nil {
			return f.key(purposeRatchet, s.peer.installation)
		}
		return s.trace.next, nil
	}}
	next, m, err := s.state.Encrypt(plaintext, nil, ratchet.UnsafeDerivedIV, random)
	if err != nil {
		return m, err
	}
	if s.state.SendPending {
		s.trace.next = nil
	}
	s.state = next
	return m, nil
}

// oneKey is a source of randomness that holds one private key or nonce and
// then ends: a reader that wants more must fail, not ask forever.
type oneKey struct {
	take  func() (hexBytes, error)
	taken bool
	left  hexBytes
}

func (o *oneKey) Read(p []byte) (int, error) {
	if !o.taken {
		k, err := o.take()
		if err != nil {
			return 0, err
		}
		o.taken, o.left = true, k
	}
	if len(o.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.left)
	o.left = o.left[n:]
	return n, nil
}

// hashInto adds everything the session holds to a hash of the node's state.
func (s *session) hashInto(h *stateHash) {
	h.add(s.id[:], s.peer.identity[:], []byte(s.peer.installation), s.prekey[:])
	h.number(boolNumber(s.heard), boolNumber(s.ephemeral != nil))
	if s.ephemeral != nil {
		h.add(s.ephemeral[:])
	}
	hashState(h, &s.state)
	keys := slices.SortedFunc(maps.Values(s.stored), func(a, b ratchet.SkippedKey) int {
		return int(int64(a.Seq) - int64(b.Seq))
	})
	h.number(uint64(len(keys)), uint64(s.skipped.Len()))
	for i := range keys {
		h.add(keys[i].Ratchet.Bytes(), keys[i].Key.Bytes())
		h.number(uint64(keys[i].N), keys[i].Seq)
	}
}

func hashState(h *stateHash, s *ratchet.State) {
	h.add(s.Root.Bytes(), s.Send.Key.Bytes(), s.Send.Head.Bytes(), s.Recv.Key.Bytes(), s.Recv.Head.Bytes(),
		s.Self.Private.Bytes(), s.Self.Public.Bytes(), s.Remote.Bytes())
	h.number(uint64(s.Suite), uint64(s.Send.N), uint64(s.Recv.N), uint64(s.PN), s.KeysMade,
		boolNumber(s.Send.Primed), boolNumber(s.Recv.Primed), boolNumber(s.SendPending))
}

func boolNumber(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// isPoint tells whether a key in a header is on the curve.
func isPoint(k ratchet.PublicKey) bool {
	_, err := curve.ParsePublicKey(k.Bytes())
	return err == nil
}
