package sessionactor

import (
	"encoding/binary"
	"fmt"
	"math"

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
}

func (p Place) sessions() persistence.Name {
	return persistence.NewName(persistence.KindSession, p.Owner[:], p.Ends.Peer[:], []byte(p.Ends.PeerInstallation))
}

func (p Place) session(id ID) persistence.Name {
	return persistence.NewName(persistence.KindSession, p.Owner[:], p.Ends.Peer[:], []byte(p.Ends.PeerInstallation), id[:])
}

func (p Place) skippedKeys(id ID) persistence.Name {
	return persistence.NewName(persistence.KindSkipped, p.Owner[:], p.Ends.Peer[:], []byte(p.Ends.PeerInstallation), id[:])
}

func (p Place) skippedKey(id ID, ref ratchet.KeyRef) persistence.Name {
	n := binary.BigEndian.AppendUint32(nil, ref.N)
	return persistence.NewName(persistence.KindSkipped, p.Owner[:], p.Ends.Peer[:], []byte(p.Ends.PeerInstallation), id[:], ref.Ratchet.Bytes(), n)
}

// records turns a change into the records that have to be committed. before is
// needed to delete the skipped keys of dropped sessions.
func (p Place) records(change Change, before *Sessions) ([]persistence.Record, error) {
	var out []persistence.Record
	for i := range change.Put {
		value, err := proto.Marshal(change.Put[i].record(change.Active))
		if err != nil {
			return nil, fmt.Errorf("sessionactor: encode session: %w", err)
		}
		out = append(out, persistence.Record{Name: p.session(change.Put[i].ID), Value: value})
	}
	for _, k := range change.Skipped.Add {
		value, err := proto.Marshal(&record.SkippedKey{Ratchet: k.Ratchet.Bytes(), N: k.N, Seq: k.Seq, Key: k.Key.Bytes()})
		if err != nil {
			return nil, fmt.Errorf("sessionactor: encode skipped key: %w", err)
		}
		out = append(out, persistence.Record{Name: p.skippedKey(change.Session, k.KeyRef), Value: value})
	}
	for _, ref := range change.Skipped.Remove {
		out = append(out, persistence.Record{Name: p.skippedKey(change.Session, ref), Delete: true})
	}
	for _, id := range change.Drop {
		out = append(out, persistence.Record{Name: p.session(id), Delete: true})
		for _, ref := range before.Skipped[id].Refs() {
			out = append(out, persistence.Record{Name: p.skippedKey(id, ref), Delete: true})
		}
	}
	return out, nil
}

func (s *Session) record(active ID) *record.Session {
	return &record.Session{
		Status:       uint32(s.Status),
		Initiator:    s.Initiator,
		SignedPreKey: s.PreKey[:],
		Ephemeral:    s.Ephemeral[:],
		Order:        s.Order[:],
		MadeFrom: &record.BundleStamp{
			Timestamp:    s.MadeFrom.Timestamp,
			Version:      s.MadeFrom.Version,
			SignedPreKey: s.MadeFrom.PreKey[:],
		},
		Created: s.Created,
		Expired: s.ExpiredAt,
		Active:  s.ID == active,
		Ratchet: &record.Ratchet{
			Suite:       uint32(s.Ratchet.Suite),
			Root:        s.Ratchet.Root.Bytes(),
			SendKey:     s.Ratchet.Send.Key.Bytes(),
			SendN:       s.Ratchet.Send.N,
			RecvKey:     s.Ratchet.Recv.Key.Bytes(),
			RecvN:       s.Ratchet.Recv.N,
			RecvHead:    head(&s.Ratchet.Recv),
			SelfPrivate: s.Ratchet.Self.Private.Bytes(),
			SelfPublic:  s.Ratchet.Self.Public.Bytes(),
			Remote:      s.Ratchet.Remote.Bytes(),
			SendPending: s.Ratchet.SendPending,
			Pn:          s.Ratchet.PN,
			KeysMade:    s.Ratchet.KeysMade,
		},
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

func decodeSession(id ID, value []byte) (s Session, active bool, err error) {
	var r record.Session
	if err := proto.Unmarshal(value, &r); err != nil {
		return s, false, err
	}
	var d decoder
	s = Session{
		ID:        id,
		Status:    Status(r.GetStatus()), //nolint:gosec // checked below
		Initiator: r.GetInitiator(),
		Created:   r.GetCreated(),
		ExpiredAt: r.GetExpired(),
	}
	d.fixed(s.PreKey[:], r.GetSignedPreKey())
	d.fixed(s.Ephemeral[:], r.GetEphemeral())
	d.fixed(s.Order[:], r.GetOrder())
	s.MadeFrom.Timestamp, s.MadeFrom.Version = r.GetMadeFrom().GetTimestamp(), r.GetMadeFrom().GetVersion()
	d.fixed(s.MadeFrom.PreKey[:], r.GetMadeFrom().GetSignedPreKey())
	q := r.GetRatchet()
	s.Ratchet = ratchet.State{
		Suite:       ratchet.Suite(q.GetSuite()), //nolint:gosec // checked below and by State.Check
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
		s.Ratchet.Recv.Primed, s.Ratchet.Recv.Head = true, d.key(h)
	}
	if r.GetStatus() < uint32(Initiated) || r.GetStatus() > uint32(Expired) {
		d.fail(fmt.Errorf("status %d", r.GetStatus()))
	}
	if q.GetSuite() > math.MaxUint8 {
		d.fail(fmt.Errorf("suite %d", q.GetSuite()))
	}
	if d.err == nil {
		d.err = s.Ratchet.Check()
	}
	return s, r.GetActive(), d.err
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
