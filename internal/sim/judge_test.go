package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// judge knows what was sent and what became of it, and holds the invariants.
type judge struct {
	messages     []*message
	byPayload    map[string]*message
	byID         map[deviceactor.MessageID]*message
	publications map[[sha256.Size]byte]*publication // by encoded message
	outbox       map[deviceactor.MessageID]*publication
	order        []*publication
	keys         map[string][sha256.Size]byte // ciphertext by ratchet key and number
	sending      *message                     // inside of installation.Send
	verdict      error                        // the first violation
}

func newJudge() judge {
	return judge{
		byPayload:    make(map[string]*message),
		byID:         make(map[deviceactor.MessageID]*message),
		publications: make(map[[sha256.Size]byte]*publication),
		outbox:       make(map[deviceactor.MessageID]*publication),
		keys:         make(map[string][sha256.Size]byte),
	}
}

// violation notes that an invariant does not hold. The first one is the verdict.
func (w *world) violation(format string, args ...any) {
	err := fmt.Errorf("%w: %s", errViolated, fmt.Sprintf(format, args...))
	w.logf("%v", err)
	if w.judge.verdict == nil {
		w.judge.verdict = err
	}
}

// message is one payload that somebody has sent.
type message struct {
	number    int
	from      *device
	to        *person
	payload   []byte
	id        deviceactor.MessageID
	durable   bool
	forbidden map[string]bool // installations that were disabled when it was sent
	known     bool            // installations of the recipient were known
	wantCopy  bool            // our own other installations were to get it
	copied    bool            // they did, or it was told that they cannot
}

func (m *message) String() string { return fmt.Sprintf("#%d", m.number) }

// publication is one durable message of the outbox.
type publication struct {
	of        *message
	copy      bool // for the sender's own other installations
	to        *person
	targets   []string // installation ids
	published int
	forgotten bool // the sender has denied the contact, and forgot it
	fates     map[*device]*fate
	order     []*device
}

func (p *publication) String() string {
	if p.copy {
		return fmt.Sprintf("copy of %v", p.of)
	}
	return p.of.String()
}

// fate is what became of a publication's envelopes to one device. Each one that
// was made was dropped, refused, accepted, or is under way.
//
// Of those that came some are unread: of an own device that was not approved.
type fate struct{ made, dropped, refused, accepted, unread int }

func (p *publication) fate(d *device) *fate {
	if p.fates[d] == nil {
		p.fates[d] = &fate{}
		p.order = append(p.order, d)
	}
	return p.fates[d]
}

// goesTo tells whether a device can read the publication.
func (p *publication) goesTo(d *device) bool {
	return p.to == d.person && (slices.Contains(p.targets, d.id) || slices.Contains(p.targets, wire.NoInstallation))
}

// applied sees every batch of a device.
func (w *world) applied(d *device, batch persistence.Batch, written bool) {
	if !written {
		return
	}
	var original *message // of the copy that the batch completes
	for _, r := range batch.Records {
		if r.Name.Kind() == persistence.KindCopy && r.Delete {
			if original = w.judge.byID[deviceactor.MessageID(lastPart(r.Name))]; original != nil {
				original.copied = true
			}
		}
	}
	for _, r := range batch.Records {
		if r.Name.Kind() != persistence.KindOutbox {
			continue
		}
		if r.Delete {
			w.leftOutbox(d, deviceactor.MessageID(lastPart(r.Name)))
			continue
		}
		o, err := deviceactor.DecodeOutgoing(r.Value)
		if err != nil {
			w.violation("outbox of %v: %v", d, err)
			return
		}
		w.durable(d, o, original)
	}
}

func lastPart(name persistence.Name) []byte {
	parts, err := name.Parts()
	if err != nil {
		panic(err)
	}
	return parts[len(parts)-1]
}

// durable notes a message that has to be published now, whatever happens.
func (w *world) durable(d *device, o deviceactor.Outgoing, original *message) {
	m, err := wire.Decode(o.Message)
	of := original
	if of == nil {
		of = w.judge.sending
	}
	if err != nil || of == nil {
		w.violation("%v has a message in its outbox that nobody sent: %v", d, err)
		return
	}
	p := &publication{of: of, copy: original != nil, to: w.personOf(o.Recipient), fates: make(map[*device]*fate)}
	for _, entry := range m.Entries {
		p.targets = append(p.targets, entry.Recipient)
		if of.forbidden[entry.Recipient] && p.to == of.to {
			w.violation("%v goes to %s, which is disabled", p, w.nameOf(entry.Recipient))
		}
	}
	if original == nil {
		of.id, of.durable = o.ID, true
		w.judge.byID[o.ID] = of
	}
	w.judge.publications[sha256.Sum256(o.Message)] = p
	w.judge.outbox[o.ID] = p
	w.judge.order = append(w.judge.order, p)
}

// leftOutbox notes that a message is not published again. Before it was
// published once, only denying its recipient may do that.
func (w *world) leftOutbox(d *device, id deviceactor.MessageID) {
	p := w.judge.outbox[id]
	if p == nil || p.published > 0 {
		return
	}
	if p.forgotten = true; !d.denied[p.to] {
		w.violation("%v left the outbox of %v unpublished", p, d)
	}
}

// published sees every envelope that leaves a device.
func (w *world) published(d *device, p *publication, e transport.Envelope) {
	m, err := wire.Decode(e.Payload)
	if err != nil {
		w.violation("%v publishes what cannot be read: %v", d, err)
		return
	}
	if p != nil {
		p.published++
	} else {
		w.checkBundle(d, m.Bundles[0])
	}
	for _, entry := range m.Entries {
		if entry.Part.DR != nil {
			w.checkKey(d, entry.Part)
		}
	}
}

// checkKey holds that no message key is used twice: a ratchet key belongs to
// one session and direction, and with the number it names the message key. The
// same ciphertext may leave again. Rolled-back devices are promised nothing.
func (w *world) checkKey(d *device, part wire.Part) {
	key := string(binary.BigEndian.AppendUint32(slices.Clone(part.DR.RatchetKey), part.DR.N))
	hash := sha256.Sum256(part.Payload)
	before, used := w.judge.keys[key]
	switch {
	case d.tainted:
	case used && before != hash:
		w.violation("%v uses the message key %x/%d twice", d, part.DR.RatchetKey[:4], part.DR.N)
	default:
		w.judge.keys[key] = hash
	}
}

// checkBundle holds that a bundle by itself is never older than the last one:
// its receivers would not take it (T08). A clock that is put right may take back
// what nobody believed.
func (w *world) checkBundle(d *device, b wire.Bundle) {
	if b.Timestamp < d.latest && !d.tainted && !d.jumped {
		w.violation("%v shows a bundle that is older than one it has shown", d)
	}
	d.latest = max(d.latest, b.Timestamp)
}
