package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport/segment"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// conversation is what deployed clients sent each other over a relay, and what
// each of them made of it.
type conversation struct {
	origin
	Identities map[string]talkerKeys    `json:"identities"`
	Steps      []talkStep               `json:"steps"`
	Bundles    map[string][]bundleRow   `json:"bundles"`
	Filters    map[string][]filterAtEnd `json:"filters_at_end"`
}

type talkerKeys struct {
	Private        hexBytes    `json:"private_key"`
	Public         prefixedHex `json:"public_key"`
	InstallationID string      `json:"installation_id"`
}

// talkStep is what somebody did, what was on the wire because of it, and what
// came out at each of them.
type talkStep struct {
	Note     string               `json:"note"`
	Results  []json.RawMessage    `json:"api_results"`
	Sent     []sentMessage        `json:"wire"`
	Received map[string][]receipt `json:"decoded_by_status_go"`
}

type sentMessage struct {
	PubsubTopic  string       `json:"pubsub_topic"`
	ContentTopic string       `json:"content_topic"`
	Version      uint32       `json:"version"`
	Timestamp    json.Number  `json:"timestamp"`
	Ephemeral    bool         `json:"ephemeral"`
	Meta         hexBytes     `json:"meta"`
	Payload      hexBytes     `json:"payload"`
	Transport    *sentReading `json:"transport"`
}

// sentReading is what another decoder has read in an envelope.
type sentReading struct {
	TopicKind  string      `json:"topic_kind"`
	TopicName  string      `json:"topic_name"`
	Encryption string      `json:"encryption"`
	SymKey     hexBytes    `json:"sym_key"`
	Signer     prefixedHex `json:"signer"`
	SignerName string      `json:"signer_name"`
	Payload    hexBytes    `json:"payload"`
}

// receipt is what a client made of a message.
type receipt struct {
	Hash                   prefixedHex `json:"hash"`
	Filter                 string      `json:"filter"`
	ContentTopic           string      `json:"contentTopic"`
	TransportSig           prefixedHex `json:"transportSig"`
	Timestamp              int64       `json:"timestamp"` // s
	RawLen                 int         `json:"rawLen"`
	TransportPayload       hexBytes    `json:"transportPayload"`
	TransportPayloadSHA256 hexBytes    `json:"transportPayload_sha256"`
	Err                    *string     `json:"err"`

	AppSig        prefixedHex `json:"appSig"`
	Type          uint64      `json:"type"`
	Payload       hexBytes    `json:"payload"`
	PayloadSHA256 hexBytes    `json:"payload_sha256"`
	PayloadLen    *int        `json:"payload_len"`
	ID            prefixedHex `json:"id"`
	Installations int         `json:"installations"`
	SharedSecrets int         `json:"sharedSecrets"`
	DatasyncAcks  int         `json:"datasyncAcks"`
}

// bundleRow is a prekey in the database of a client at the end.
type bundleRow struct {
	Identity       databaseHex `json:"identity"`
	InstallationID string      `json:"installation_id"`
	Private        databaseHex `json:"private_signed_pre_key"`
	Public         databaseHex `json:"signed_pre_key"`
	Timestamp      int64       `json:"timestamp"`
	Version        uint32      `json:"version"`
}

// filterAtEnd is a topic that a client knows of at the end.
type filterAtEnd struct {
	ChatID     string `json:"chatId"`
	Discovery  bool   `json:"discovery"`
	Listen     bool   `json:"listen"`
	Negotiated bool   `json:"negotiated"`
	OneToOne   bool   `json:"oneToOne"`
	Topic      string `json:"topic"`
}

// talker is one of them, with our core in its place.
type talker struct {
	name string
	node *node
	// segments are what it has got of messages that came in several.
	segments *segment.Reassembler
	whole    map[[32]byte]bool
	// contacts are what it knows of other identities.
	contacts map[x3dh.IdentityPublicKey]deviceactor.Contact
	client   *client
}

// hear has an engine learn what a message tells of its sender. That it was read
// the recording says, also where its key is in none.
func (p *talker) hear(c *carried, m *wire.Message, payload []byte) error {
	from, at := c.signer.node.identity.Public(), c.message.Timestamp
	contact := p.contacts[from]
	contact.Identity = from
	view := deviceactor.View{Own: p.node.identity.Public(), Installation: p.node.installation, MaxInstallations: maxInstallations}
	verify := func(b *wire.Bundle) error { return x3dh.CheckBundle(b, at) }
	if c.name.Kind() == topic.KindContactCode {
		for i := range m.Bundles {
			if b := &m.Bundles[i]; x3dh.IdentityPublicKey(b.Identity) == from && verify(b) == nil {
				contact, _ = contact.TakeBundle(view, b, m.InstallationID, at)
			}
		}
		p.contacts[from] = contact
		return nil
	}
	reading, err := contact.Read(view, m, c.chat, verify)
	if err != nil {
		return err
	}
	p.contacts[from], _, err = contact.Receive(view, reading, payload, at)
	return err
}

// agreed tells whether an engine that knows what p knows has the topic that it
// shares with somebody used.
func (p *talker) agreed(with *talker, at int64) bool {
	contact := p.contacts[with.node.identity.Public()]
	return contact.Agreed(at)
}

// carried is a message that was on the wire.
type carried struct {
	message waku.Message
	signer  *talker
	name    topic.Name
	chat    string // the name of a public one
	// between are the identity that the topic belongs to, or both sides of a
	// negotiated one; nobody for a public chat.
	between []*talker
	// data is what was in the envelope, nil if it does not open.
	data []byte
}

// talk follows a conversation.
type talk struct {
	*conversation
	people map[string]*talker
	sent   map[[32]byte]*carried
	keys   map[topic.Digest]*secret.Key
	// network puts together what was cut, as far as it was sent.
	network *segment.Reassembler
	// bundles are those that were sent.
	bundles []wire.Bundle
	report  *FileReport
}

func replayConversation(data []byte, stores Stores) (*FileReport, error) {
	var c conversation
	if err := strictly(data, "conversation", &c); err != nil {
		return nil, err
	}
	t := &talk{
		conversation: &c,
		people:       map[string]*talker{},
		sent:         map[[32]byte]*carried{},
		keys:         map[topic.Digest]*secret.Key{},
		report:       &FileReport{Schema: schemaConversation, Name: c.Name},
	}
	if len(c.Identities) == 0 || len(c.Steps) == 0 {
		return nil, malformed("conversation", "no identities or no steps")
	}
	var err error
	if t.network, err = segment.NewReassembler(segment.DefaultLimits); err != nil {
		return nil, malformed("conversation", "%w", err)
	}
	defer t.part()
	if err := t.meet(stores); err != nil {
		return nil, err
	}
	for i := range c.Steps {
		if err := t.step(i); err != nil {
			return nil, err
		}
	}
	if err := t.end(); err != nil {
		return nil, err
	}
	return t.report, nil
}

// part ends that anybody listens.
func (t *talk) part() {
	for _, p := range t.people {
		p.client.close()
	}
}

// meet puts our core in everybody's place, with their recorded secrets.
func (t *talk) meet(stores Stores) error {
	for _, name := range slices.Sorted(maps.Keys(t.Identities)) {
		keys, rep := t.Identities[name], Step{Cmd: "identity", Node: name, Status: Equal}
		n, err := newNode(&step{IdentityPriv: keys.Private, InstallationID: keys.InstallationID})
		if err != nil {
			return malformed("identity "+name, "private_key: %w", err)
		}
		if !x3dh.ValidInstallationID(keys.InstallationID) {
			return malformed("identity "+name, "installation_id of %d bytes", len(keys.InstallationID))
		}
		rep.value("public_key", sameIdentity(n.identity.Public(), keys.Public), "ours is %s", n.identity.Public())
		segments, err := segment.NewReassembler(segment.DefaultLimits)
		if err != nil {
			return malformed("identity "+name, "%w", err)
		}
		p := &talker{
			name: name, node: n, segments: segments,
			whole: map[[32]byte]bool{}, contacts: map[x3dh.IdentityPublicKey]deviceactor.Contact{},
		}
		for i, row := range t.Bundles[name] {
			if len(row.Private) == 0 {
				continue
			}
			key, err := x3dh.NewPreKey(row.Private)
			if err != nil {
				return malformed(fmt.Sprintf("bundles of %s, %d", name, i), "private_signed_pre_key: %w", err)
			}
			n.prekeys = append(n.prekeys, ownPreKey{key: key, version: row.Version, created: row.Timestamp})
		}
		if p.client, err = newClient(stores, &n.identity); err != nil {
			return malformed("identity "+name, "%w", err)
		}
		t.people[name] = p
		t.report.Steps = append(t.report.Steps, rep)
	}
	return nil
}

// step replays what was sent in a step, then what was received.
func (t *talk) step(i int) error {
	s := &t.Steps[i]
	where := fmt.Sprintf("step %d", i)
	var choices []choice
	for k := range s.Sent {
		rep := Step{I: i, Cmd: "send", Status: Equal}
		made, err := t.send(&s.Sent[k], fmt.Sprintf("%s, wire %d", where, k), &rep)
		if err != nil {
			return err
		}
		choices = append(choices, made...)
		t.report.Steps = append(t.report.Steps, rep)
	}
	ids := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(s.Received)) {
		p := t.people[name]
		if p == nil {
			return malformed(where, "received by %.40q, who has no identity", name)
		}
		for k := range s.Received[name] {
			rep := Step{I: i, Cmd: "receive", Node: name, Status: Equal}
			if err := t.receive(p, &s.Received[name][k], fmt.Sprintf("%s, %s, %d", where, name, k), &rep); err != nil {
				return err
			}
			ids["0x"+hexString(s.Received[name][k].ID)] = true
			t.report.Steps = append(t.report.Steps, rep)
		}
	}
	rep := Step{I: i, Cmd: "step", Status: Equal}
	for k := range choices {
		choices[k].compare(&rep)
	}
	for k, raw := range s.Results {
		if string(raw) == "true" {
			continue
		}
		var id string
		if err := json.Unmarshal(raw, &id); err != nil {
			return malformed(where, "api_results[%d]: neither true nor the id of a message", k)
		}
		rep.value(fmt.Sprintf("api_results[%d]", k), ids[id], "nobody has received a message of that id")
	}
	if len(rep.Checks) > 0 {
		t.report.Steps = append(t.report.Steps, rep)
	}
	return nil
}
