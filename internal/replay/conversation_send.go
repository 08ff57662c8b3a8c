package replay

import (
	"bytes"
	"errors"
	"strings"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/topic"
)

// choice is a whole message, for which its sender has chosen a topic.
type choice struct {
	*carried
	to      *talker // nil if it is for everybody
	logical transport.Topic
	payload []byte
	// before is what our engine chooses before the step; what comes in during it
	// may change that.
	before bool
}

// compare holds that our engine and courier send it on the same topic.
func (c *choice) compare(rep *Step) {
	agreed := c.before
	if c.to != nil && agreed != (c.name.Kind() == topic.KindNegotiated) {
		agreed = c.signer.agreed(c.to, c.message.Timestamp)
	}
	ours, err := c.signer.client.publish(c.logical, c.payload, agreed)
	same := err == nil && len(ours) > 0
	for _, content := range ours {
		same = same && string(content) == c.message.ContentTopic
	}
	rep.value("topic taken", same, "recorded is %s, ours %s (%v)", c.name, ours, err)
}

// send opens what was on the wire and makes it again, envelope and message.
func (t *talk) send(s *sentMessage, where string, rep *Step) ([]choice, error) {
	r := s.Transport
	if r == nil {
		return nil, malformed(where, "no transport")
	}
	if err := missing(where, "payload", s.Payload, "transport.payload", r.Payload); err != nil {
		return nil, err
	}
	at, err := nanoseconds(where, s.Timestamp)
	if err != nil {
		return nil, err
	}
	c := &carried{signer: t.people[r.SignerName]}
	if c.signer == nil {
		return nil, malformed(where, "signer_name %.40q has no identity", r.SignerName)
	}
	rep.Node = r.SignerName
	if err := t.placed(c, r, where); err != nil {
		return nil, err
	}
	c.message = waku.Message{
		Payload: s.Payload, ContentTopic: s.ContentTopic, Version: s.Version, Timestamp: at,
		Meta: s.Meta, Ephemeral: s.Ephemeral, HasEphemeral: true,
	}
	if s.Meta == nil {
		c.message.Meta = []byte{} // as deployed clients send it
	}
	rep.value("pubsub_topic", s.PubsubTopic == string(topic.DefaultShard), "ours is %s", topic.DefaultShard)
	rep.value("content_topic", s.ContentTopic == string(c.name.Topic().ContentTopic()), "ours is %s", c.name)
	rep.value("version", s.Version == waku.VersionEnvelope, "ours is %d", waku.VersionEnvelope)
	rep.value("topic_name", sameName(r.TopicName, c.name), "not that of ours, %s", c.name)
	encoded, err := c.message.Encode()
	if err == nil {
		var again waku.Message
		again, err = waku.DecodeMessage(encoded)
		rep.value("message, read again", err == nil && again.Hash(s.PubsubTopic) == c.message.Hash(s.PubsubTopic) && again.Ephemeral == s.Ephemeral, "ours: %v", err)
	} else {
		rep.differs(KindWire, "message", "ours: %v", err)
	}
	rep.outside(NotChecked, "ephemeral", "ephemeral shows in no other recorded value")
	t.sent[c.message.Hash(s.PubsubTopic)] = c
	l, err := t.lock(c, r, where, rep)
	if err != nil {
		return nil, err
	}
	opened, err := l.open(s.Payload)
	rep.opened(opened, err, r.Payload, r.Signer)
	if rep.refused {
		return nil, nil
	}
	rep.value("signer_name", opened.Signer == c.signer.node.identity.Public(), "ours is %s", opened.Signer)
	rep.reseal(l, &c.signer.node.identity, opened.Data, s.Payload)
	c.data = opened.Data
	return t.chosen(c, rep), nil
}

// placed finds the topic of a message by our own rules.
func (t *talk) placed(c *carried, r *sentReading, where string) error {
	var err error
	kind, of, _ := strings.Cut(r.TopicKind, " of ")
	pair, negotiated := strings.CutPrefix(r.TopicKind, "negotiated ")
	switch {
	case r.TopicKind == "public chat":
		c.chat = r.TopicName
		c.name, err = topic.PublicChat(c.chat)
	case negotiated:
		a, b, _ := strings.Cut(pair, "/")
		c.between = []*talker{t.people[a], t.people[b]}
	default:
		c.between = []*talker{t.people[of]}
	}
	for _, p := range c.between {
		if p == nil {
			return malformed(where, "topic_kind %.80q of somebody without an identity", r.TopicKind)
		}
	}
	switch {
	case negotiated:
		c.name, err = topic.Negotiated(&c.between[0].node.identity, c.between[1].node.identity.Public())
	case kind == "contact-code":
		c.name, err = topic.ContactCode(c.between[0].node.identity.Public())
	case kind == "partitioned":
		c.name = topic.Partitioned(c.between[0].node.identity.Public())
	case kind == "personal":
		c.name, err = topic.Personal(c.between[0].node.identity.Public())
	case c.between != nil:
		err = errors.New("unknown kind")
	}
	if err != nil {
		return malformed(where, "topic_kind %.80q: %w", r.TopicKind, err)
	}
	return nil
}

// lock gives what opens envelopes on the topic of a message.
func (t *talk) lock(c *carried, r *sentReading, where string, rep *Step) (*lock, error) {
	symmetric := c.name.Kind().Symmetric()
	if r.Encryption != "symmetric" && r.Encryption != "asymmetric" {
		return nil, malformed(where, "unknown encryption %.40q", r.Encryption)
	}
	rep.value("encryption", symmetric == (r.Encryption == "symmetric"), "ours is %s", c.name)
	if !symmetric {
		if r.SymKey != nil {
			return nil, malformed(where, "sym_key of an asymmetric envelope")
		}
		return &lock{own: &c.between[0].node.identity}, nil
	}
	key := t.keys[c.name.Digest()]
	if key == nil {
		derived, err := topic.DeriveKey(c.name)
		if err != nil {
			return nil, malformed(where, "%w", err)
		}
		key = &derived
		t.keys[c.name.Digest()] = key
	}
	if err := missing(where, "sym_key", r.SymKey); err != nil {
		return nil, err
	}
	rep.value("sym_key", bytes.Equal(key.Bytes(), r.SymKey), "not ours")
	return &lock{key: key}, nil
}

// chosen reads what was sent, when it is whole, and says which topic was chosen
// for whom. Segments that are missing others say nothing.
func (t *talk) chosen(c *carried, rep *Step) []choice {
	whole := c.data
	if s, err := waku.DecodeSegment(c.data); err == nil {
		whole, err = t.network.Add(c.message.Timestamp, c.signer.node.identity.Public(), s)
		rep.value("segment", err == nil, "ours: %v", err)
		if whole == nil {
			return nil
		}
	}
	m, err := wire.Decode(whole)
	rep.value("protocol message", err == nil, "ours: %v", err)
	if err != nil {
		return nil
	}
	again := m.Encode()
	if bytes.Equal(again, whole) {
		rep.equal(KindWire, "protocol message")
	} else {
		rep.differs(KindWire, "protocol message", "ours has %d other bytes, recorded are %d", len(again), len(whole))
	}
	rep.value("installation_id", m.InstallationID == c.signer.node.installation, "ours is %.40q", m.InstallationID)
	t.bundles = append(t.bundles, m.Bundles...)
	made := choice{carried: c, payload: whole}
	switch c.name.Kind() {
	case topic.KindPublicChat:
		made.logical = transport.PublicTopic(c.chat)
	case topic.KindContactCode:
		made.logical = transport.ContactCodeTopic(c.between[0].node.identity.Public())
	case topic.KindPersonal:
		return nil // our engine sends nothing there
	case topic.KindPartitioned, topic.KindNegotiated:
		made.to = c.between[0]
		if made.to == c.signer && len(c.between) > 1 {
			made.to = c.between[1]
		}
		made.logical = transport.PersonalTopic(made.to.node.identity.Public())
		made.before = c.signer.agreed(made.to, c.message.Timestamp)
	}
	return []choice{made}
}
