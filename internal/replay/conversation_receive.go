package replay

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport/topic"
)

// The words of deployed clients for segments that do not make a whole.
const (
	segmentWaits = "<nil>"
	segmentLate  = "message segments already completed"
)

// whyUnread says why the plaintext of a message is not compared.
const whyUnread = "under a ratchet key that is not recorded"

// receive compares what a client made of a message with what ours makes of it.
func (t *talk) receive(p *talker, r *receipt, where string, rep *Step) error {
	if len(r.Hash) != sha256.Size {
		return malformed(where, "hash of %d bytes", len(r.Hash))
	}
	if r.Err != nil && *r.Err != segmentWaits && *r.Err != segmentLate {
		return malformed(where, "unknown err %.80q", *r.Err)
	}
	if err := missing(where, "transportPayload", r.TransportPayload); err != nil {
		return err
	}
	c := t.sent[[32]byte(r.Hash)]
	if c == nil || c.data == nil {
		rep.differs(KindValue, "hash", "nothing that opens was sent with this hash")
		return nil
	}
	rep.equal(KindValue, "hash")
	t.compareTransport(p, c, r, rep)
	whole := c.data
	if s, err := waku.DecodeSegment(c.data); err == nil {
		completed := p.whole[s.Hash]
		whole, err = p.segments.Add(c.message.Timestamp, c.signer.node.identity.Public(), s)
		rep.value("segment", err == nil, "ours: %v", err)
		if whole == nil {
			rep.compareIncomplete(r, completed)
			return nil
		}
		p.whole[s.Hash] = true
	}
	rep.value("err", r.Err == nil, "ours is none")
	m, err := wire.Decode(whole)
	if err != nil {
		rep.differs(KindPlaintext, "payload", "ours: %v", err)
		return nil
	}
	t.compareContent(p, c, m, r, rep)
	return nil
}

// compareTransport compares the reading of the envelope.
func (t *talk) compareTransport(p *talker, c *carried, r *receipt, rep *Step) {
	name, err := c.at(p)
	rep.value("topic", err == nil && name.Digest() == c.name.Digest(), "ours is not for %s (%v)", p.name, err)
	filter := sameName(r.Filter, c.name)
	if peer := c.other(p); peer != nil {
		filter = r.Filter == negotiatedFilter(peer.node.identity.Public())
	}
	rep.value("filter", filter, "is not that of %s", c.name)
	rep.value("contentTopic", r.ContentTopic == c.name.Topic().String(), "ours is %s", c.name.Topic())
	signer := c.signer.node.identity.Public()
	rep.value("transportSig", sameIdentity(signer, r.TransportSig), "ours is %s", signer)
	rep.value("timestamp", r.Timestamp == c.message.Timestamp/1e9, "ours is %d", c.message.Timestamp/1e9)
	rep.value("rawLen", r.RawLen == len(c.data), "ours is %d", len(c.data))
	if same := sameContent(c.data, r.TransportPayload, r.TransportPayloadSHA256); same {
		rep.equal(KindPlaintext, "transportPayload")
	} else {
		rep.differs(KindPlaintext, "transportPayload", "ours has %d bytes", len(c.data))
	}
}

// sameContent compares bytes with recorded ones, or with their hash where they
// were too long to be written down.
func sameContent(ours, recorded, hash []byte) bool {
	if hash == nil {
		return bytes.Equal(ours, recorded)
	}
	sum := sha256.Sum256(ours)
	return len(recorded) == 0 && bytes.Equal(sum[:], hash)
}

var errNotFor = errors.New("replay: not addressed")

// at gives the topic as somebody computes it who is to open the message.
func (c *carried) at(p *talker) (topic.Name, error) {
	switch c.name.Kind() {
	case topic.KindNegotiated:
		if peer := c.other(p); peer != nil {
			return topic.Negotiated(&p.node.identity, peer.node.identity.Public())
		}
		return topic.Name{}, errNotFor
	case topic.KindPartitioned, topic.KindPersonal:
		if c.between[0] != p {
			return topic.Name{}, errNotFor
		}
	case topic.KindContactCode, topic.KindPublicChat:
	}
	return c.name, nil
}

// other is with whom somebody shares a negotiated topic; nil if it is none, or
// not theirs.
func (c *carried) other(p *talker) *talker {
	switch {
	case c.name.Kind() != topic.KindNegotiated:
		return nil
	case c.between[0] == p:
		return c.between[1]
	case c.between[1] == p:
		return c.between[0]
	}
	return nil
}

// compareIncomplete is for a segment that does not make a whole.
func (s *Step) compareIncomplete(r *receipt, completed bool) {
	want := segmentWaits
	if completed {
		want = segmentLate
	}
	s.value("err", r.Err != nil && *r.Err == want, "ours is a segment: %s", want)
	s.nothing(r)
	s.value("id", r.ID == nil, "ours is none")
	s.value("sharedSecrets", r.SharedSecrets == 0, "ours are none")
	s.value("installations", r.Installations == 0, "ours are none")
}

// nothing holds that nothing came out of a message for the application.
func (s *Step) nothing(r *receipt) {
	s.value("payload", len(r.Payload) == 0 && r.PayloadSHA256 == nil && r.PayloadLen == nil, "ours is none")
	s.value("type", r.Type == 0, "ours is none")
	s.value("appSig", r.AppSig == nil, "ours is none")
	s.value("datasyncAcks", r.DatasyncAcks == 0, "ours are none")
}

// compareContent compares what a message says and what is learnt from it.
func (t *talk) compareContent(p *talker, c *carried, m *wire.Message, r *receipt, rep *Step) {
	from, n := c.signer.node.identity.Public(), p.node
	got, err := n.receive(m, from, c.message.Timestamp, func(sessionID) *session { return nil })
	echo := from == n.identity.Public() && m.InstallationID == n.installation && !m.HasPublic
	switch {
	case err == nil && (echo || len(got.plaintext) == 0):
		rep.nothing(r)
		empty := curve.Keccak256()
		rep.value("id", bytes.Equal(r.ID, empty[:]), "ours is that of nothing")
	case err == nil && isMVDS(got.plaintext):
		rep.outside(NotSupported, "payload", whyMVDS)
	case err == nil:
		rep.compareFrame(got.plaintext, r)
	case laterMessage(n, m, got):
		rep.outside(NotChecked, "payload", whyUnread)
	default:
		rep.refused = true
		rep.differs(KindPlaintext, "payload", "ours: %v", err)
		return
	}
	added := n.take(got, m, from, nil)
	rep.value("installations", r.Installations == len(added), "ours are %d", len(added))
	secrets := 0
	if got.speaks {
		secrets = 1
	}
	rep.value("sharedSecrets", r.SharedSecrets == secrets, "ours are %d", secrets)
	if from != n.identity.Public() || m.InstallationID != n.installation {
		err := p.hear(c, m, got.plaintext)
		rep.value("heard", err == nil, "ours: %v", err)
	}
}

// laterMessage tells whether a message is one of a session that has been
// answered: the private ratchet keys of those are in no recording.
func laterMessage(n *node, m *wire.Message, got *received) bool {
	if got == nil {
		return false
	}
	for i := range m.Entries {
		if e := &m.Entries[i]; e.Recipient == n.installation {
			return e.Part.DR != nil && e.Part.X3DH == nil && e.Part.DH == nil
		}
	}
	return false
}

// isMVDS tells whether a plaintext is in a frame of MVDS, by the numbers of its
// fields.
func isMVDS(plaintext []byte) (found bool) {
	fields(plaintext, func(num protowire.Number, _ []byte, _ uint64) {
		found = found || num >= 5001 && num <= 5005
	})
	return found
}

// compareFrame compares what the application gets. The frame is its own; here
// its parts are only told apart.
func (s *Step) compareFrame(plaintext []byte, r *receipt) {
	frame := readApplicationFrame(plaintext)
	author, err := frame.author()
	switch {
	case r.PayloadLen != nil && *r.PayloadLen != len(frame.payload), !sameContent(frame.payload, r.Payload, r.PayloadSHA256):
		s.differs(KindPlaintext, "payload", "ours has %d bytes, recorded are %d", len(frame.payload), len(r.Payload))
	default:
		s.equal(KindPlaintext, "payload")
	}
	s.plaintext = frame.payload
	s.value("type", r.Type == frame.typ, "ours is %d", frame.typ)
	s.value("appSig", err == nil && sameIdentity(author, r.AppSig), "ours is %s (%v)", author, err)
	s.value("id", bytes.Equal(r.ID, applicationID(author, plaintext)), "not ours")
	s.value("datasyncAcks", r.DatasyncAcks == 0, "ours are none")
}
