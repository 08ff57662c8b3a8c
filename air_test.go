package rookery_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
	memnet "github.com/rookery-im/rookery/transport/memory"
)

// verdict is what becomes of a published envelope.
type verdict int

const (
	pass   verdict = iota
	hold           // accepted, and kept back until release
	refuse         // not accepted
)

var errRefused = errors.New("the network takes nothing")

// air is the network of a test. It remembers all that was published, as a
// network with a history does, and finds out about message keys used twice.
type air struct {
	*memnet.Network

	mu        sync.Mutex
	rule      func(transport.Envelope) verdict
	published []transport.Envelope
	held      []transport.Envelope
	sealed    map[slot][sha256.Size]byte
	reused    []slot
	onPublish func(transport.Envelope)
}

// slot is what a message key belongs to: no two ciphertexts may share one.
type slot struct {
	ratchet string
	n       uint32
}

func newAir() *air {
	return &air{Network: memnet.New(1, memnet.Faults{}), sealed: make(map[slot][sha256.Size]byte)}
}

// Publish implements transport.Transport.
func (a *air) Publish(e transport.Envelope, accepted func(error)) {
	switch a.take(e) {
	case refuse:
		accepted(errRefused)
	case hold:
		accepted(nil)
	case pass:
		a.Network.Publish(e, accepted)
	}
}

func (a *air) take(e transport.Envelope) verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.onPublish != nil {
		a.onPublish(e)
	}
	a.note(e)
	result := pass
	if a.rule != nil {
		result = a.rule(e)
	}
	if result == hold {
		a.held = append(a.held, e)
	}
	return result
}

// remember adds what an earlier network has carried.
func (a *air) remember(earlier []transport.Envelope) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range earlier {
		a.note(e)
	}
}

// note keeps an envelope that others may have seen, whatever becomes of it.
func (a *air) note(e transport.Envelope) {
	a.published = append(a.published, e)
	m, err := wire.Decode(e.Payload)
	if err != nil {
		return
	}
	for _, entry := range m.Entries {
		if entry.Part.DR == nil {
			continue
		}
		at := slot{hex.EncodeToString(entry.Part.DR.RatchetKey), entry.Part.DR.N}
		hash := sha256.Sum256(entry.Part.Payload)
		if before, ok := a.sealed[at]; ok && before != hash {
			a.reused = append(a.reused, at)
		}
		a.sealed[at] = hash
	}
}

// keysUsedTwice are the message keys of which two ciphertexts were published.
func (a *air) keysUsedTwice() []slot {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.reused)
}

func (a *air) setRule(rule func(transport.Envelope) verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rule = rule
}

// history is all that was published but contact codes: those go out whenever a
// tick comes.
func (a *air) history() []transport.Envelope {
	return slices.DeleteFunc(a.everything(), isContactCode)
}

func (a *air) everything() []transport.Envelope {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.published)
}

func isContactCode(e transport.Envelope) bool { return e.Topic == transport.ContactCodeTopic(e.Sender) }

// withhold sends a message that the network keeps back until release, and gives
// it.
func (w *world) withhold(from device, to rookery.PublicKey, payload string) transport.Envelope {
	w.t.Helper()
	w.air.setRule(holdIf(between(from.key, to)))
	defer w.air.setRule(nil)
	id := w.send(from, to, payload).ID
	var found transport.Envelope
	// A receipt means that the message is durable; it is published after that.
	eventually(w.t, "publication", func() bool {
		for _, e := range w.air.history() {
			if other, err := idOf(e); err == nil && other == id {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// holding is how many are held back.
func (a *air) holding() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.held)
}

// release delivers what was held back, the newest first.
func (a *air) release() int {
	a.mu.Lock()
	held := a.held
	a.held = nil
	a.mu.Unlock()
	slices.Reverse(held)
	a.deliver(held)
	return len(held)
}

// deliver brings envelopes to those who listen now.
func (a *air) deliver(envelopes []transport.Envelope) {
	for _, e := range envelopes {
		a.Network.Publish(e, func(error) {})
	}
}

// sealedNothing is the size of an empty payload sealed DH-only: tag and nonce.
const sealedNothing = 16 + 12

// isAdvertisement tells whether an envelope brings the sender's bundle and
// nothing else.
func isAdvertisement(e transport.Envelope) bool {
	m, err := wire.Decode(e.Payload)
	if err != nil || len(m.Bundles) != 1 || len(m.Entries) != 1 {
		return false
	}
	entry := m.Entries[0]
	return entry.Recipient == wire.NoInstallation && entry.Part.DH != nil && len(entry.Part.Payload) == sealedNothing
}

// between picks what one identity has sent to another, other than its bundle
// alone.
func between(from, to rookery.PublicKey) func(transport.Envelope) bool {
	return func(e transport.Envelope) bool {
		return e.Sender == from && e.Topic == transport.PersonalTopic(to) && !isAdvertisement(e)
	}
}

// holdIf holds back what is picked and lets everything else pass.
func holdIf(pick func(transport.Envelope) bool) func(transport.Envelope) verdict {
	return func(e transport.Envelope) verdict {
		if pick(e) {
			return hold
		}
		return pass
	}
}

// idOf computes the id of a published message as docs/adr/0004 says.
func idOf(e transport.Envelope) (rookery.MessageID, error) {
	m, err := wire.Decode(e.Payload)
	if err != nil {
		return rookery.MessageID{}, fmt.Errorf("published message: %w", err)
	}
	entries := wire.Message{InstallationID: m.InstallationID, Entries: m.Entries}
	h := sha256.New()
	h.Write([]byte("rookery message id"))
	h.Write(e.Sender[:])
	h.Write([]byte{0}) // no public chat
	h.Write(entries.Encode())
	return rookery.MessageID(h.Sum(nil)), nil
}
