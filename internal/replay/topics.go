package replay

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// topicFile is a file of topics with their names and keys.
type topicFile struct {
	origin
	Identities []identityTopics `json:"identities"`
	Pairs      []pairTopic      `json:"pairs"`
	Named      []namedTopic     `json:"named"`
	Installed  *startTopics     `json:"installed_filters"`
}

// namedTopic is one topic; without SymKey it is one of an identity.
type namedTopic struct {
	Name         *string  `json:"name"`
	Topic        hexBytes `json:"topic"`
	ContentTopic string   `json:"content_topic"`
	SymKey       hexBytes `json:"sym_key"`
	Note         string   `json:"note"`
}

type identityTopics struct {
	Private      hexBytes   `json:"private_key"`
	Compressed   hexBytes   `json:"public_compressed"`
	Uncompressed hexBytes   `json:"public_uncompressed"`
	Partition    *uint64    `json:"partition"`
	ContactCode  namedTopic `json:"contact_code"`
	Partitioned  namedTopic `json:"partitioned"`
	Personal     namedTopic `json:"personal"`
	Note         string     `json:"note"`
}

type pairTopic struct {
	PrivateA     hexBytes `json:"private_a"`
	PrivateB     hexBytes `json:"private_b"`
	PublicA      hexBytes `json:"public_a"`
	PublicB      hexBytes `json:"public_b"`
	SharedSecret hexBytes `json:"shared_secret"`
	KeyName      *string  `json:"key_name"`
	Topic        hexBytes `json:"topic"`
	ContentTopic string   `json:"content_topic"`
	SymKey       hexBytes `json:"sym_key"`
	FilterID     string   `json:"filter_chat_id_at_a"`
	GroupID      hexBytes `json:"mvds_one_to_one_group_id"`
	Note         string   `json:"note"`
}

// startTopics is what a client listens to when it has started.
type startTopics struct {
	Private       hexBytes       `json:"self_private_key"`
	Contact       hexBytes       `json:"contact_public"`
	Chats         []string       `json:"public_chats"`
	Subscriptions []subscription `json:"subscriptions_in_order"`
	Note          string         `json:"note"`
}

type subscription struct {
	ContentTopic  string   `json:"content_topic"`
	Key           string   `json:"key"`
	Password      *string  `json:"password"`
	IsOwnIdentity bool     `json:"is_own_identity"`
	PubsubTopic   string   `json:"pubsub_topic"`
	Topics        hexBytes `json:"topics"`
}

// The ways in which a subscription opens envelopes.
const (
	symmetricFilter = "symmetric from password"
	identityFilter  = "asymmetric, own identity key"
)

// Why recorded values of other layers are not compared.
const (
	whyMVDS     = "MVDS stands above what this project carries"
	whySharding = "automatic sharding is not used: messages are on named shards"
)

func replayTopics(data []byte, stores Stores) (*FileReport, error) {
	var f topicFile
	if err := strictly(data, "topics", &f); err != nil {
		return nil, err
	}
	report := &FileReport{Schema: schemaTopics, Name: f.Name}
	step := func(cmd string, i int, compare func(where string, rep *Step) error) error {
		rep := Step{I: i, Cmd: cmd, Status: Equal}
		err := compare(fmt.Sprintf("%s %d", cmd, i), &rep)
		report.Steps = append(report.Steps, rep)
		return err
	}
	for i := range f.Identities {
		if err := step("identity", i, f.Identities[i].compare); err != nil {
			return nil, err
		}
	}
	for i := range f.Pairs {
		if err := step("pair", i, f.Pairs[i].compare); err != nil {
			return nil, err
		}
	}
	for i := range f.Named {
		if err := step("named", i, f.Named[i].compareChat); err != nil {
			return nil, err
		}
	}
	if f.Installed != nil {
		if err := step("installed_filters", 0, func(where string, rep *Step) error {
			return f.Installed.compare(stores, where, rep)
		}); err != nil {
			return nil, err
		}
	}
	if len(report.Steps) == 0 {
		return nil, malformed("topics", "no vectors")
	}
	return report, nil
}

// sameName tells whether a recorded name is that of a topic. A topic does not
// give its name away, but equal names have equal digests.
func sameName(recorded string, n topic.Name) bool {
	chat, err := topic.PublicChat(recorded)
	return err == nil && chat.Digest() == n.Digest()
}

// compareName compares a topic of ours with a recorded one, in all its forms.
func (v *namedTopic) compareName(where string, rep *Step, what string, ours topic.Name) error {
	if v.Name == nil {
		return malformed(where, "%s without a name", what)
	}
	if err := missing(where, what+" topic", v.Topic); err != nil {
		return err
	}
	rep.value(what+".name", sameName(*v.Name, ours), "recorded is another name")
	bare := ours.Topic()
	rep.value(what+".topic", bytes.Equal(bare[:], v.Topic), "ours is %s", bare)
	rep.value(what+".content_topic", string(bare.ContentTopic()) == v.ContentTopic, "ours is %s", bare.ContentTopic())
	parsed, err := topic.ParseContentTopic(v.ContentTopic)
	rep.value(what+".content_topic, read", err == nil && parsed == bare, "ours is %s (%v)", parsed, err)
	if !ours.Kind().Symmetric() {
		if v.SymKey != nil {
			return malformed(where, "%s with a symmetric key", what)
		}
		return nil
	}
	if err := missing(where, what+" sym_key", v.SymKey); err != nil {
		return err
	}
	key, err := topic.DeriveKey(ours)
	rep.value(what+".sym_key", err == nil && bytes.Equal(key.Bytes(), v.SymKey), "not ours (%v)", err)
	return nil
}

func (v *identityTopics) compare(where string, rep *Step) error {
	if v.Partition == nil {
		return malformed(where, "no partition")
	}
	own, err := x3dh.NewIdentity(v.Private)
	if err != nil {
		return malformed(where, "private_key: %w", err)
	}
	public := own.Public()
	rep.value("public_uncompressed", sameIdentity(public, v.Uncompressed), "ours is %s", public)
	rep.value("public_compressed", bytes.Equal(public[:], v.Compressed), "ours is %s", public)
	partitioned := topic.Partitioned(public)
	rep.value("partition", sameName(fmt.Sprintf("contact-discovery-%d", *v.Partition), partitioned), "recorded %d is not ours", *v.Partition)
	if err := v.Partitioned.compareName(where, rep, "partitioned", partitioned); err != nil {
		return err
	}
	code, err := topic.ContactCode(public)
	if err != nil {
		return malformed(where, "private_key: %w", err)
	}
	if err := v.ContactCode.compareName(where, rep, "contact_code", code); err != nil {
		return err
	}
	personal, err := topic.Personal(public)
	if err != nil {
		return malformed(where, "private_key: %w", err)
	}
	return v.Personal.compareName(where, rep, "personal", personal)
}

// compare compares the negotiated topic as both sides have it.
func (v *pairTopic) compare(where string, rep *Step) error {
	a, err := x3dh.NewIdentity(v.PrivateA)
	if err != nil {
		return malformed(where, "private_a: %w", err)
	}
	b, err := x3dh.NewIdentity(v.PrivateB)
	if err != nil {
		return malformed(where, "private_b: %w", err)
	}
	rep.value("public_a", sameIdentity(a.Public(), v.PublicA), "ours is %s", a.Public())
	rep.value("public_b", sameIdentity(b.Public(), v.PublicB), "ours is %s", b.Public())
	recorded := namedTopic{Name: v.KeyName, Topic: v.Topic, ContentTopic: v.ContentTopic, SymKey: v.SymKey}
	for _, side := range []struct {
		name string
		own  *x3dh.IdentityKey
		peer x3dh.IdentityPublicKey
	}{{"negotiated at a", &a, b.Public()}, {"negotiated at b", &b, a.Public()}} {
		z, err := side.own.SharedSecret(side.peer)
		rep.value("shared_secret, "+side.name, err == nil && bytes.Equal(z[:], v.SharedSecret), "not ours (%v)", err)
		name, err := topic.Negotiated(side.own, side.peer)
		if err != nil {
			return malformed(where, "%s: %w", side.name, err)
		}
		if err := recorded.compareName(where, rep, side.name, name); err != nil {
			return err
		}
	}
	if v.FilterID != "" {
		rep.value("filter_chat_id_at_a", v.FilterID == negotiatedFilter(b.Public()), "is not that of b")
	}
	if v.GroupID != nil {
		rep.outside(NotSupported, "mvds_one_to_one_group_id", whyMVDS)
	}
	return nil
}

// negotiatedFilter is how deployed clients call the topic negotiated with
// somebody among their filters.
func negotiatedFilter(peer x3dh.IdentityPublicKey) string {
	full, err := peer.Uncompressed()
	if err != nil {
		return ""
	}
	return "0x" + hexString(full[:]) + "-negotiated"
}

func (v *namedTopic) compareChat(where string, rep *Step) error {
	if v.Name == nil {
		return malformed(where, "no name")
	}
	name, err := topic.PublicChat(*v.Name)
	if err != nil {
		rep.differs(KindValue, "name", "ours: %v", err)
		return nil
	}
	return v.compareName(where, rep, "public chat", name)
}

func (v *startTopics) compare(stores Stores, where string, rep *Step) error {
	own, err := x3dh.NewIdentity(v.Private)
	if err != nil {
		return malformed(where, "self_private_key: %w", err)
	}
	c, err := newClient(stores, &own)
	if err != nil {
		return malformed(where, "self_private_key: %w", err)
	}
	defer c.close()
	names, err := v.asked(c)
	if err != nil {
		return malformed(where, "%w", err)
	}
	listened := c.listened()
	rep.value("subscriptions_in_order", len(listened) == len(v.Subscriptions), "ours are %d, recorded %d", len(listened), len(v.Subscriptions))
	for i := range v.Subscriptions {
		s := &v.Subscriptions[i]
		what := fmt.Sprintf("subscriptions_in_order[%d]", i)
		if s.Key != symmetricFilter && s.Key != identityFilter || s.Key == symmetricFilter && s.Password == nil {
			return malformed(where, "%s: key %.40q", what, s.Key)
		}
		content := carrier.Topic(s.ContentTopic)
		name, named := names[content]
		rep.value(what+".content_topic", listened[content] && named, "ours does not listen there")
		delete(listened, content) // each once
		if !named {
			continue
		}
		bare, symmetric := name.Topic(), name.Kind().Symmetric()
		rep.value(what+".topics", bytes.Equal(bare[:], s.Topics), "ours is %s", name)
		rep.value(what+".key", symmetric == (s.Key == symmetricFilter), "ours is %s", name)
		rep.value(what+".is_own_identity", symmetric != s.IsOwnIdentity, "ours is %s", name)
		rep.value(what+".password", symmetric == (s.Password != nil) && (s.Password == nil || sameName(*s.Password, name)), "not that of ours, %s", name)
		// Without one, it is the shard that everything is on.
		rep.value(what+".pubsub_topic", s.PubsubTopic == "" || s.PubsubTopic == string(topic.DefaultShard), "ours is %s", topic.DefaultShard)
	}
	return nil
}

// asked has a client listen to what its user has asked for, and gives the names
// of all that it could listen to then.
func (v *startTopics) asked(c *client) (map[carrier.Topic]topic.Name, error) {
	names := map[carrier.Topic]topic.Name{}
	add := func(name topic.Name, err error) error {
		if err == nil {
			names[carrier.Topic(name.Topic().ContentTopic())] = name
		}
		return err
	}
	err := errors.Join(add(topic.ContactCode(c.own)), add(topic.Partitioned(c.own), nil), add(topic.Personal(c.own)))
	for _, chat := range v.Chats {
		err = errors.Join(err, add(topic.PublicChat(chat)), c.listen(transport.PublicTopic(chat)))
	}
	if v.Contact != nil {
		contact, parsed := x3dh.ParseIdentity(v.Contact)
		if parsed != nil {
			return nil, fmt.Errorf("contact_public: %w", parsed)
		}
		err = errors.Join(err, add(topic.ContactCode(contact)), c.listen(transport.ContactCodeTopic(contact)))
	}
	return names, err
}
