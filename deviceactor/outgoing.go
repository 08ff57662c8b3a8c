package deviceactor

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrNoTarget: the contact has installations, but none that a message may go
// to. Nothing is sent, and never without forward secrecy instead (T40).
var ErrNoTarget = errors.New("deviceactor: no installation to send to")

const (
	// maxUnaccepted bounds the messages of one contact that the transport has
	// not taken: a network that is down does not fill the disk.
	maxUnaccepted = 4096
	// republished is how many of them one sweep publishes again, so that the
	// end of an outage is no storm.
	republished = 64
)

// send waits for our bundle, which goes with every message, then gives the
// payload to all target sessions at once.
func (a *Actor) send(m Send) {
	if len(a.unaccepted) >= maxUnaccepted {
		m.Fail(&actors.OverloadedError{Limit: "outbox", Max: maxUnaccepted})
		return
	}
	if len(a.held) == 0 && a.config.Now() < a.bundle.Until {
		a.encrypt(m)
		return
	}
	a.held = append(a.held, m)
	if a.asking {
		return
	}
	a.asking = true
	self := a.self
	a.config.Bundle.Tell(bundleactor.GetBundle{Reply: actors.ReplyFunc(func(p bundleactor.Published, err error) {
		self.Tell(gotBundle{p, err})
	})})
}

func (a *Actor) gotBundle(m gotBundle) {
	a.asking = false
	held := a.held
	a.held = nil
	if m.err == nil {
		a.bundle = m.published
	}
	if a.outdated { // good for those who asked, not for later ones
		a.bundle.Until, a.outdated = 0, false
	}
	for _, s := range held {
		if m.err != nil {
			s.Fail(m.err)
			continue
		}
		a.encrypt(s)
	}
}

func (a *Actor) encrypt(m Send) {
	targets := a.contact.Targets(a.config.MaxInstallations)
	if len(targets) == 0 {
		a.encryptDHOnly(m)
		return
	}
	out := &outgoing{send: m, parts: make([]wire.Entry, len(targets)), errs: make([]error, len(targets))}
	now := a.config.Now()
	for i, target := range targets {
		out.parts[i].Recipient = target.ID
		self := a.self
		a.sessions.Tell(sessionName(target.ID), sessionactor.Encrypt{
			Payload: m.Payload,
			Entry:   target.Entry,
			Now:     now,
			Reply: actors.ReplyFunc(func(r sessionactor.Encrypted, err error) {
				self.Tell(encrypted{&out.work, i, r, err})
			}),
		})
	}
	out.waiting = len(targets)
	out.work.of = out
	out.work.finish = out.finish
	a.enqueue(&out.work, func(*work) error { return a.assemble(out) })
}

// encryptDHOnly is for a contact of which no installation is known.
func (a *Actor) encryptDHOnly(m Send) {
	if len(a.contact.Installations) > 0 || a.own() {
		m.Fail(ErrNoTarget)
		return
	}
	payload, ephemeral, err := x3dh.SealDHOnly(a.config.Peer, m.Payload, a.config.Random)
	if err != nil {
		m.Fail(err)
		return
	}
	part := wire.Part{DH: &wire.DHHeader{Ephemeral: wire.PublicKey(ephemeral)}, Payload: payload}
	out := &outgoing{send: m, parts: []wire.Entry{{Recipient: wire.NoInstallation, Part: part}}, errs: make([]error, 1)}
	out.work.of = out
	out.work.finish = out.finish
	a.enqueue(&out.work, func(*work) error { return a.assemble(out) })
}

// outgoing is a message being made.
type outgoing struct {
	work
	send    Send
	parts   []wire.Entry
	errs    []error
	started int
	receipt Receipt
	message []byte // encoded
}

func (a *Actor) encrypted(m encrypted) error {
	if out := m.of.of; m.err != nil {
		out.errs[m.target] = m.err
	} else {
		out.parts[m.target].Part = m.result.Part
		if m.result.Started {
			out.started++
		}
		a.count(m.result.Started, m.result.Turned)
	}
	a.answered(m.of, m.of.of.parts[m.target].Recipient, m.result.Records, m.err)
	return nil
}

// assemble makes the one message for all targets and its outbox record.
func (a *Actor) assemble(out *outgoing) error {
	message := wire.Message{InstallationID: a.config.Installation, Bundles: []wire.Bundle{a.bundle.Bundle}}
	for i, part := range out.parts {
		if out.errs[i] != nil {
			out.receipt.Failed = append(out.receipt.Failed, InstallationError{part.Recipient, out.errs[i]})
			continue
		}
		message.Entries = append(message.Entries, part)
		out.receipt.Installations = append(out.receipt.Installations, part.Recipient)
		out.receipt.ForwardSecrecy = part.Part.DR != nil
	}
	if len(message.Entries) == 0 {
		return fmt.Errorf("%w: %w", ErrNoTarget, errors.Join(out.errs...))
	}
	out.receipt.Started = out.started
	out.receipt.ID = newMessageID(a.config.Identity.Public(), &message)
	now := a.config.Now()
	outgoing := Outgoing{ID: out.receipt.ID, Recipient: a.config.Peer, Message: message.Encode()}
	value, err := outgoing.record(now)
	if err != nil {
		return fmt.Errorf("deviceactor: encode outbox: %w", err)
	}
	out.records = append(out.records, persistence.Record{
		Name:  OutboxName(a.config.Owner, a.config.Peer, outgoing.ID),
		Value: value,
	})
	out.message = outgoing.Message
	if a.contact.FirstSeen == 0 {
		a.contact.FirstSeen = now
		return out.putContact(a)
	}
	return nil
}

// finish publishes what is durable and answers the sender.
func (out *outgoing) finish(a *Actor, err error) {
	if err != nil {
		out.send.Fail(err)
		return
	}
	a.config.Counters.Sent.Add(1)
	out.send.Reply.Send(out.receipt)
	a.transmit(out.receipt.ID, out.message)
}

// loadOutbox finds the messages that the transport has not taken yet: the next
// sweep publishes them again. One whose publication is still under way goes out
// twice, as the same message.
func (a *Actor) loadOutbox() error {
	prefix := persistence.NewName(persistence.KindOutbox, a.config.Owner[:], a.config.Peer[:])
	return a.config.Reader.Scan(context.Background(), prefix, func(name persistence.Name, _ []byte) error {
		parts, err := name.Parts()
		if err != nil || len(parts[len(parts)-1]) != len(MessageID{}) {
			return fmt.Errorf("%w: %w: outbox record %v", actors.ErrCorruptState, ErrCorrupt, name)
		}
		a.unaccepted[MessageID(parts[len(parts)-1])] = true
		return nil
	})
}

// republish publishes again what the transport has refused.
func (a *Actor) republish() {
	n := 0
	for id, refused := range a.unaccepted {
		if n == republished {
			return
		}
		if refused {
			a.publish(id)
			n++
		}
	}
}

// publish reads a message of the outbox and publishes it again.
func (a *Actor) publish(id MessageID) {
	value, err := a.config.Reader.Get(context.Background(), OutboxName(a.config.Owner, a.config.Peer, id))
	if err != nil {
		// Gone: it was accepted meanwhile. Unreadable: the next sweep tries again.
		if errors.Is(err, persistence.ErrNotFound) {
			delete(a.unaccepted, id)
		}
		return
	}
	o, err := DecodeOutgoing(value)
	if err != nil {
		a.config.Deliver(MessageRefused{Sender: a.config.Identity.Public(), Installation: a.config.Installation, Err: err})
		delete(a.unaccepted, id)
		return
	}
	a.transmit(id, o.Message)
}

func (a *Actor) transmit(id MessageID, message []byte) {
	a.unaccepted[id] = false
	self := a.self
	a.config.Transport.Publish(transport.Envelope{
		Topic:   transport.PersonalTopic(a.config.Peer),
		Sender:  a.config.Identity.Public(),
		Payload: message,
	}, func(err error) { self.Tell(published{id, err}) })
}

// published drops a message from the outbox once the transport has taken it.
// After a failure the next sweep publishes it again.
func (a *Actor) published(m published) {
	if m.err != nil {
		a.unaccepted[m.id] = true
		return
	}
	delete(a.unaccepted, m.id)
	a.enqueue(&work{finish: func(*Actor, error) {}}, func(w *work) error {
		name := OutboxName(a.config.Owner, a.config.Peer, m.id)
		w.records = append(w.records, persistence.Record{Name: name, Delete: true})
		return nil
	})
}
