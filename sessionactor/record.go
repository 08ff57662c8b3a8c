package sessionactor

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// Place says where the records of one peer installation stand in the store.
type Place struct {
	Owner persistence.OwnerID
	Ends  Ends
	last  *lastName // of a session; nil if it is not kept
}

// lastName is the name that was made last: most messages are of one session.
type lastName struct {
	id   ID
	name persistence.Name
}

func (p Place) sessions() persistence.Name {
	return persistence.NewName(persistence.KindSession, p.Owner[:], p.Ends.Peer[:], []byte(p.Ends.PeerInstallation))
}

func (p Place) session(id ID) persistence.Name {
	if p.last != nil && p.last.id == id && p.last.name != "" {
		return p.last.name
	}
	name := persistence.NewName(persistence.KindSession, p.Owner[:], p.Ends.Peer[:], []byte(p.Ends.PeerInstallation), id[:])
	if p.last != nil {
		*p.last = lastName{id, name}
	}
	return name
}

func (p Place) skippedKeys(id ID) persistence.Name {
	return persistence.NewName(persistence.KindSkipped, p.Owner[:], p.Ends.Peer[:], []byte(p.Ends.PeerInstallation), id[:])
}

func (p Place) skippedKey(id ID, ref ratchet.KeyRef) persistence.Name {
	n := binary.BigEndian.AppendUint32(nil, ref.N)
	return persistence.NewName(persistence.KindSkipped, p.Owner[:], p.Ends.Peer[:], []byte(p.Ends.PeerInstallation), id[:], ref.Ratchet.Bytes(), n)
}

// Records turns the change of a step into the records that have to be committed
// in one batch. before are the sessions that the step was made on, as they were
// before Apply: the skipped message keys of deleted sessions are named by them.
func (p Place) Records(change Change, before *Sessions) []persistence.Record {
	records := p.records(change, before)
	persistence.Encode(records)
	return records
}

// records are those of Records, with sessions that are not encoded yet.
func (p Place) records(change Change, before *Sessions) []persistence.Record {
	out := make([]persistence.Record, 0, len(change.Put)+len(change.Skipped.Add)+len(change.Skipped.Remove))
	put := func(session *Session) {
		content := &sessionContent{storedSession{session: session, bare: change.skipped(session.ID, before) == 0}}
		if content.active = session.ID == change.Active; content.active {
			content.others, content.listed = change.others(before)
		}
		out = append(out, persistence.Record{Name: p.session(session.ID), Content: content})
	}
	for _, session := range change.Put {
		put(session)
	}
	if session := change.unwritten(before); session != nil {
		put(session)
	}
	for _, k := range change.Skipped.Add {
		value := (&record.SkippedKey{Ratchet: k.Ratchet.Bytes(), N: k.N, Seq: k.Seq, Key: k.Key.Bytes()}).Append(nil)
		out = append(out, persistence.Record{Name: p.skippedKey(change.Session, k.KeyRef), Value: value, New: true})
	}
	for _, ref := range change.Skipped.Remove {
		out = append(out, persistence.Record{Name: p.skippedKey(change.Session, ref), Delete: true})
	}
	for _, c := range change.Crowded {
		for _, ref := range c.Keys {
			out = append(out, persistence.Record{Name: p.skippedKey(c.Session, ref), Delete: true})
		}
	}
	for _, id := range change.Drop {
		out = append(out, persistence.Record{Name: p.session(id), Delete: true})
	}
	for _, id := range slices.Concat(change.Drop, change.Forget) {
		for _, ref := range before.Skipped[id].Refs() {
			out = append(out, persistence.Record{Name: p.skippedKey(id, ref), Delete: true})
		}
	}
	return out
}

// skipped is how many skipped message keys a session has after the change.
func (c *Change) skipped(id ID, before *Sessions) int {
	if slices.Contains(c.Forget, id) {
		return 0
	}
	n := 0
	if set := before.Skipped[id]; set != nil {
		n = set.Len()
	}
	if id == c.Session {
		n += len(c.Skipped.Add) - len(c.Skipped.Remove)
	}
	for _, crowded := range c.Crowded {
		if crowded.Session == id {
			n -= len(crowded.Keys)
		}
	}
	return n
}

// maxListed is how many other sessions the active one lists at most; where there are
// more they are searched for.
const maxListed = 6

// others are the ids of all sessions after the change but the active one; not listed if
// they are too many.
func (c *Change) others(before *Sessions) (others []ID, listed bool) {
	note := func(id ID) {
		if id != c.Active && !slices.Contains(others, id) && !slices.Contains(c.Drop, id) {
			others = append(others, id)
		}
	}
	for i := range before.List {
		if note(before.List[i].ID); len(others) > maxListed {
			return nil, false
		}
	}
	for _, session := range c.Put {
		note(session.ID)
	}
	if len(others) > maxListed {
		return nil, false
	}
	return others, true
}

// unwritten is the active session if its record has to be written only since it lists
// the others, and those are not the same any more.
func (c *Change) unwritten(before *Sessions) *Session {
	changed := len(c.Drop) > 0
	for _, session := range c.Put {
		if session.ID == c.Active {
			return nil
		}
		changed = changed || before.find(session.ID) < 0
	}
	if i := before.find(c.Active); changed && i >= 0 {
		return before.List[i]
	}
	return nil
}

// maxRatchetKey is the size of the longest ratchet key, in bytes.
const maxRatchetKey = 33

// storedSession is what the record of a session says.
type storedSession struct {
	session *Session
	active  bool
	bare    bool // there is no need to look for its skipped message keys
	others  []ID // if listed: all others, of the active one
	listed  bool
}

// sessionContent is the record of a session that is not encoded yet.
type sessionContent struct{ storedSession }

// AppendValue implements persistence.Content.
func (c *sessionContent) AppendValue(b []byte) []byte { return c.append(b) }

// ValueSize implements persistence.Content.
func (c *sessionContent) ValueSize() int { return sessionBytes }

// sessionBytes is about what a session takes, with all that it may remember.
const sessionBytes = 1 << 10

func (c *storedSession) append(b []byte) []byte {
	s := c.session
	var (
		seen         [len(s.Seen) * seenSize]byte
		self, remote [maxRatchetKey]byte
		others       [maxListed * len(ID{})]byte
	)
	list := others[:0]
	for i := range c.others {
		list = append(list, c.others[i][:]...)
	}
	madeFrom, own := s.MadeFrom.record(), s.Own.record()
	r := record.Session{
		Status:       uint32(s.Status),
		Initiator:    s.Initiator,
		SignedPreKey: s.PreKey[:],
		Ephemeral:    s.Ephemeral[:],
		Order:        s.Order[:],
		MadeFrom:     &madeFrom,
		Created:      s.Created,
		Expired:      s.ExpiredAt,
		Active:       c.active,
		Seen:         s.Seen.append(seen[:0]),

		NothingSkipped: c.bare,
		OthersListed:   c.listed,
		Others:         list,
	}
	if !s.Own.IsZero() {
		r.Own = &own
	}
	if s.Status != Forgotten {
		state := ratchetRecord(&s.Ratchet)
		state.SelfPublic = s.Ratchet.Self.Public.Append(self[:0])
		state.Remote = s.Ratchet.Remote.Append(remote[:0])
		r.Ratchet = &state
	}
	return r.Append(b)
}

func (e *Entry) record() record.BundleStamp {
	return record.BundleStamp{Timestamp: e.Timestamp, Version: e.Version, SignedPreKey: e.PreKey[:], BySibling: e.BySibling}
}

// ratchetRecord is all of the ratchet but the public keys.
func ratchetRecord(s *ratchet.State) record.Ratchet {
	return record.Ratchet{
		Suite:       uint32(s.Suite),
		Root:        s.Root.Bytes(),
		SendKey:     s.Send.Key.Bytes(),
		SendN:       s.Send.N,
		RecvKey:     s.Recv.Key.Bytes(),
		RecvN:       s.Recv.N,
		RecvHead:    head(&s.Recv),
		SelfPrivate: s.Self.Private.Bytes(),
		SendPending: s.SendPending,
		Pn:          s.PN,
		KeysMade:    s.KeysMade,
	}
}

func head(c *ratchet.Chain) []byte {
	if !c.Primed {
		return nil
	}
	return c.Head.Bytes()
}

// decoder reads the fields of a record and keeps the first failure.
type decoder struct{ err error }

func (d *decoder) key(b []byte) secret.Key {
	k, err := secret.NewKey(b)
	if err != nil {
		d.fail(err)
	}
	return k
}

func (d *decoder) fixed(dst, b []byte) {
	if copy(dst, b) != len(b) || len(dst) != len(b) {
		d.fail(fmt.Errorf("field of %d bytes, want %d", len(b), len(dst)))
	}
}

func (d *decoder) ratchetKey(b []byte) ratchet.PublicKey {
	if len(b) == 0 {
		return ratchet.PublicKey{}
	}
	k, err := ratchet.NewPublicKey(b)
	if err != nil {
		d.fail(err)
	}
	return k
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// decodeSession reads a record into a session, which is good if there is no error.
func decodeSession(s *Session, id ID, value []byte) (storedSession, error) {
	var r record.Session
	if err := proto.Unmarshal(value, &r); err != nil {
		return storedSession{}, err
	}
	var d decoder
	stored := storedSession{session: s, active: r.GetActive(), bare: r.GetNothingSkipped(), listed: r.GetOthersListed()}
	for rest := r.GetOthers(); len(rest) > 0; {
		var other ID
		n := min(len(rest), len(other))
		d.fixed(other[:], rest[:n])
		stored.others, rest = append(stored.others, other), rest[n:]
	}
	*s = Session{
		Origin:    &Origin{ID: id, Initiator: r.GetInitiator()},
		Status:    Status(r.GetStatus()), //nolint:gosec // checked below
		Created:   r.GetCreated(),
		ExpiredAt: r.GetExpired(),
	}
	d.fixed(s.PreKey[:], r.GetSignedPreKey())
	d.fixed(s.Ephemeral[:], r.GetEphemeral())
	d.fixed(s.Order[:], r.GetOrder())
	s.MadeFrom = d.entry(r.GetMadeFrom())
	if r.GetOwn() != nil {
		s.Own = d.entry(r.GetOwn())
	}
	s.Seen = d.seen(r.GetSeen())
	if r.GetStatus() < uint32(Initiated) || r.GetStatus() > uint32(Forgotten) {
		d.fail(fmt.Errorf("status %d", r.GetStatus()))
	}
	if s.Status != Forgotten {
		s.Ratchet = d.ratchet(r.GetRatchet())
	}
	return stored, d.err
}

func (d *decoder) entry(r *record.BundleStamp) Entry {
	e := Entry{Timestamp: r.GetTimestamp(), Version: r.GetVersion(), BySibling: r.GetBySibling()}
	d.fixed(e.PreKey[:], r.GetSignedPreKey())
	return e
}

func (d *decoder) ratchet(q *record.Ratchet) ratchet.State {
	s := ratchet.State{
		Suite:       ratchet.Suite(q.GetSuite()), //nolint:gosec // checked by State.Check
		Root:        d.key(q.GetRoot()),
		Send:        ratchet.Chain{Key: d.key(q.GetSendKey()), N: q.GetSendN()},
		Recv:        ratchet.Chain{Key: d.key(q.GetRecvKey()), N: q.GetRecvN()},
		Self:        ratchet.KeyPair{Private: d.key(q.GetSelfPrivate()), Public: d.ratchetKey(q.GetSelfPublic())},
		Remote:      d.ratchetKey(q.GetRemote()),
		SendPending: q.GetSendPending(),
		PN:          q.GetPn(),
		KeysMade:    q.GetKeysMade(),
	}
	if h := q.GetRecvHead(); len(h) > 0 {
		s.Recv.Primed, s.Recv.Head = true, d.key(h)
	}
	if q.GetSuite() > math.MaxUint8 {
		d.fail(fmt.Errorf("suite %d", q.GetSuite()))
	}
	if d.err == nil {
		d.err = s.Check()
	}
	return s
}

func decodeSkippedKey(value []byte) (ratchet.SkippedKey, error) {
	var r record.SkippedKey
	if err := proto.Unmarshal(value, &r); err != nil {
		return ratchet.SkippedKey{}, err
	}
	var d decoder
	k := ratchet.SkippedKey{
		KeyRef: ratchet.KeyRef{Ratchet: d.ratchetKey(r.GetRatchet()), N: r.GetN()},
		Seq:    r.GetSeq(),
		Key:    d.key(r.GetKey()),
	}
	return k, d.err
}

// AllSessions is the prefix of every session record of one contact.
func AllSessions(owner persistence.OwnerID, contact x3dh.IdentityPublicKey) persistence.Name {
	return persistence.NewName(persistence.KindSession, owner[:], contact[:])
}
