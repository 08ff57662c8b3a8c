package replay

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// end compares what everybody knows and listens to when all is said.
func (t *talk) end() error {
	for _, name := range slices.Sorted(maps.Keys(t.Bundles)) {
		p := t.people[name]
		if p == nil {
			return malformed("bundles", "of %.40q, who has no identity", name)
		}
		for i := range t.Bundles[name] {
			rep := Step{I: i, Cmd: "bundle", Node: name, Status: Equal}
			if err := t.compareRow(p, &t.Bundles[name][i], fmt.Sprintf("bundles of %s, %d", name, i), &rep); err != nil {
				return err
			}
			t.report.Steps = append(t.report.Steps, rep)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Filters)) {
		p := t.people[name]
		if p == nil {
			return malformed("filters_at_end", "of %.40q, who has no identity", name)
		}
		rep := Step{Cmd: "filters_at_end", Node: name, Status: Equal}
		if err := t.compareFilters(p, t.Filters[name], "filters_at_end of "+name, &rep); err != nil {
			return err
		}
		t.report.Steps = append(t.report.Steps, rep)
	}
	return nil
}

// rounding is by how much recorded times of bundles may be off: they went
// through a number with 53 bits (ns).
const rounding = 256

// compareRow compares a prekey in somebody's database with the bundles that were
// sent.
func (t *talk) compareRow(p *talker, row *bundleRow, where string, rep *Step) error {
	identity, err := x3dh.ParseIdentity(row.Identity)
	if err != nil {
		return malformed(where, "identity: %w", err)
	}
	if len(row.Public) == 0 {
		return malformed(where, "no signed_pre_key")
	}
	own := identity == p.node.identity.Public() && row.InstallationID == p.node.installation
	rep.value("private_signed_pre_key", own == (len(row.Private) > 0), "ours are those of the own installation")
	if len(row.Private) > 0 {
		key, err := x3dh.NewPreKey(row.Private)
		if err != nil {
			return malformed(where, "private_signed_pre_key: %w", err)
		}
		public := key.Public()
		rep.value("signed_pre_key of the private one", bytes.Equal(public[:], row.Public), "ours is %s", public)
	}
	sent, same, time := t.sentPreKey(identity, row)
	switch {
	case !sent && own:
		rep.outside(NotChecked, "signed_pre_key", "the bundle was not sent")
	default:
		rep.value("signed_pre_key", same, "no bundle with it was sent")
	}
	if own {
		rep.outside(NotChecked, "timestamp", "when an own prekey was made is in no bundle")
	} else {
		rep.value("timestamp", time, "no such bundle was sent then")
	}
	return nil
}

// sentPreKey looks for a prekey in the bundles that were sent: whether there is
// any of the installation, whether one has the key and version, and whether such
// a bundle is of the time.
func (t *talk) sentPreKey(identity x3dh.IdentityPublicKey, row *bundleRow) (sent, same, time bool) {
	for i := range t.bundles {
		b := &t.bundles[i]
		at := slices.IndexFunc(b.PreKeys, func(k wire.SignedPreKey) bool { return k.InstallationID == row.InstallationID })
		if x3dh.IdentityPublicKey(b.Identity) != identity || at < 0 {
			continue
		}
		sent = true
		if k := &b.PreKeys[at]; bytes.Equal(k.Key[:], row.Public) && k.Version == row.Version {
			same = true
			off := b.Timestamp - row.Timestamp
			time = time || off >= -rounding && off <= rounding
		}
	}
	return sent, same, time
}

// compareFilters compares somebody's topics with those that our rules have.
func (t *talk) compareFilters(p *talker, rows []filterAtEnd, where string, rep *Step) error {
	own := &p.node.identity
	want := map[carrier.Topic]bool{}
	for i := range rows {
		row := &rows[i]
		what := fmt.Sprintf("[%d]", i)
		name, err := t.filtered(p, row)
		if err != nil {
			return malformed(where+what, "chatId: %w", err)
		}
		kind := name.Kind()
		rep.value(what+".topic", row.Topic == name.Topic().String(), "ours is %s", name)
		rep.value(what+".negotiated", row.Negotiated == (kind == topic.KindNegotiated), "ours is %s", name)
		rep.value(what+".discovery", row.Discovery == (kind == topic.KindPersonal), "ours is %s", name)
		rep.value(what+".oneToOne", row.OneToOne == (kind != topic.KindContactCode && kind != topic.KindPublicChat), "ours is %s", name)
		if negotiated, err := topic.Negotiated(own, own.Public()); err == nil && row.Listen && negotiated.Digest() == name.Digest() {
			rep.outside(NotChecked, what+".listen", whyOwnTopic)
			continue
		}
		if row.Listen {
			want[carrier.Topic(name.Topic().ContentTopic())] = true
			continue
		}
		// A partitioned topic of somebody else is only written to.
		foreign := kind == topic.KindPartitioned && name.Digest() != topic.Partitioned(own.Public()).Digest()
		rep.value(what+".listen", foreign, "ours listens to %s", name)
	}
	ours := p.client.listened()
	rep.value("topics listened to", maps.Equal(ours, want), "ours are %d, recorded %d", len(ours), len(want))
	return nil
}

const (
	negotiatedSuffix  = "-negotiated"
	contactCodeSuffix = "-contact-code"
	discoveryPrefix   = "contact-discovery-"
)

// whyOwnTopic says why it is not compared whether the topic that an identity
// shares with itself is listened to.
const whyOwnTopic = "the reference listens there since it has heard itself; ours does when it writes to other installations of its own"

// filtered gives the topic of a recorded filter by our rules. Contacts and public
// chats, which their user has asked for, are listened to from then on.
func (t *talk) filtered(p *talker, row *filterAtEnd) (topic.Name, error) {
	own := &p.node.identity
	if key, found := strings.CutSuffix(row.ChatID, negotiatedSuffix); found {
		peer, err := printedIdentity(key)
		if err != nil {
			return topic.Name{}, err
		}
		return topic.Negotiated(own, peer)
	}
	if key, found := strings.CutSuffix(row.ChatID, contactCodeSuffix); found {
		contact, err := printedIdentity(key)
		if err != nil {
			return topic.Name{}, err
		}
		if row.Listen {
			err = p.client.listen(transport.ContactCodeTopic(contact))
		}
		if err != nil {
			return topic.Name{}, err
		}
		return topic.ContactCode(contact)
	}
	if strings.HasPrefix(row.ChatID, discoveryPrefix) {
		for _, name := range slices.Sorted(maps.Keys(t.people)) {
			public := t.people[name].node.identity.Public()
			personal, err := topic.Personal(public)
			if err != nil {
				return topic.Name{}, err
			}
			for _, n := range []topic.Name{topic.Partitioned(public), personal} {
				if sameName(row.ChatID, n) {
					return n, nil
				}
			}
		}
		return topic.Name{}, fmt.Errorf("%.40q is of nobody here", row.ChatID)
	}
	if row.Listen {
		if err := p.client.listen(transport.PublicTopic(row.ChatID)); err != nil {
			return topic.Name{}, err
		}
	}
	return topic.PublicChat(row.ChatID)
}

// printedIdentity reads a key as deployed clients print it.
func printedIdentity(text string) (x3dh.IdentityPublicKey, error) {
	digits, found := strings.CutPrefix(text, "0x")
	b, err := hex.DecodeString(digits)
	if err != nil || !found {
		return x3dh.IdentityPublicKey{}, fmt.Errorf("%.40q is no key", text)
	}
	return x3dh.ParseIdentity(b)
}
