package deviceactor

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
)

// send waits for our bundle, which goes with every message, then gives the
// payload to all target sessions at once.
func (a *Actor) send(m Send) {
	if a.own() && m.copyOf == nil {
		note := Copy{Recipient: a.peer, Payload: m.Payload}
		payload, err := note.encode()
		if err != nil {
			m.Fail(err)
			return
		}
		m.Payload = payload
	}
	if len(a.unaccepted) >= maxUnaccepted {
		m.Fail(&actors.OverloadedError{Limit: "outbox", Max: maxUnaccepted})
		return
	}
	if a.awaitsCode(m) {
		return
	}
	if len(a.held) == 0 && a.hasBundle() {
		a.encrypt(m)
		return
	}
	a.held = append(a.held, m)
	a.askBundle()
}

// hasBundle tells whether our bundle is here and good.
func (a *Actor) hasBundle() bool {
	now := a.config.Host.Now()
	if a.bundle.Good(now) {
		return true
	}
	p := a.config.Host.AtHand()
	if p == nil || !p.Good(now) {
		return false
	}
	a.hold(p)
	return true
}

// hold keeps our bundle, which nobody changes.
func (a *Actor) hold(p *bundleactor.Published) {
	a.bundle, a.ours = *p, &p.Bundle
	own := EntryOf(a.ours, a.config.View.Installation)
	a.ownEntry = &own
}

func (a *Actor) askBundle() {
	if a.asking {
		return
	}
	a.asking = true
	self := a.self
	a.config.Host.AskBundle(bundleactor.GetBundle{Reply: actors.ReplyFunc(func(p bundleactor.Published, err error) {
		self.Tell(gotBundle{p, err})
	})})
}

func (a *Actor) gotBundle(m gotBundle) {
	a.asking = false
	held := a.held
	a.held = nil
	if m.err == nil {
		a.hold(&m.published)
	}
	var store *persistence.StoreError
	if errors.As(m.err, &store) { // a new bundle could not be kept
		m.err = fmt.Errorf("%w: %w", ErrNotDurable, m.err)
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
	a.leaseHeld(m.err)
}

// encrypt drafts the message and gives it to the sessions of its targets.
func (a *Actor) encrypt(m Send) {
	now := a.config.Host.Now()
	draft, err := a.contact.Draft(a.config.View, m.Payload, now)
	if err != nil {
		a.noTarget(m, err)
		return
	}
	out := newOutgoing(len(draft.Targets))
	out.reply, out.once, out.copyOf, out.draft, out.bundle = m.Reply, m.Once, m.copyOf, draft, a.ours
	out.timing = newTiming(Sending, m.Since)
	if len(draft.Targets) == 0 {
		if err := out.draft.Seal(a.peer, a.config.Random); err != nil {
			m.Fail(err)
			return
		}
	}
	self := a.self
	for i := range out.shares {
		s, target := &out.shares[i], &draft.Targets[i]
		*s = share{of: out, target: i, ask: sessionactor.Encrypt{
			Payload: m.Payload,
			Entry:   &target.Entry,
			Own:     a.ownEntry,
			Now:     now,
			Active:  target.Session,
			Timed:   out.timing != nil,
			Reply: actors.ReplyFunc(func(r sessionactor.Encrypted, err error) {
				s.result, s.err = r, err
				self.Tell(encrypted{s})
			}),
		}}
		a.sessions.Tell(a.sessionName(target.ID), &s.ask)
	}
	out.waiting = len(out.shares)
	a.enqueue(&out.work)
}

// noTarget refuses a payload, and has the contact looked up if that may help.
func (a *Actor) noTarget(m interface{ Fail(err error) }, err error) {
	if errors.Is(err, ErrNoTarget) && !a.own() {
		a.config.Host.LookUp(a.peer)
	}
	m.Fail(err)
}

// outgoing is a message being made.
type outgoing struct {
	work
	reply   actors.Reply[Receipt]
	once    *Once
	copyOf  *MessageID // see Send
	draft   Draft
	shares  []share      // one for each of its targets
	bundle  *wire.Bundle // ours, which goes with it
	receipt Receipt
	message Outgoing
	copied  *Config // the contact's, if our own other installations get it too; else nil
}

// newOutgoing makes one for so many targets; mostly it is one, and all is one object.
func newOutgoing(targets int) *outgoing {
	var out *outgoing
	if targets == 1 {
		alone := new(struct {
			outgoing
			share [1]share
		})
		out, alone.shares = &alone.outgoing, alone.share[:]
	} else {
		out = &outgoing{shares: make([]share, targets)}
	}
	out.task = out
	return out
}

// share is what one of a message's targets gets of it.
type share struct {
	of     *outgoing
	target int
	ask    sessionactor.Encrypt
	result sessionactor.Encrypted // the answer
	err    error
}

func (a *Actor) encrypted(s *share) {
	draft := &s.of.draft
	target := draft.Targets[s.target].ID
	draft.Encrypted(s.target, s.result.Part, s.result.Started, s.err)
	a.count(s.result.Started, s.result.Turned)
	if s.of.timing != nil && s.err == nil {
		a.config.Host.Timed(Sending, Computed, s.result.Took)
	}
	s.of.transitions(a, target, s.result.Transitions, nil)
	a.answered(&s.of.work, target, s.result.Records, s.err)
}

// prepare makes the one message for all targets, its outbox record, and the
// record of the copy that our own other installations will get.
func (out *outgoing) prepare(a *Actor) error {
	now := a.config.Host.Now()
	contact, message, receipt, effects, err := a.contact.Assemble(a.config.View, &out.draft, *out.bundle, now)
	if err != nil {
		return err
	}
	lost, err := receipt.CopyLost(a.peer)
	if out.copyOf != nil && err != nil {
		return err // once more, later, for all
	}
	out.message, out.receipt = message, receipt
	a.write(out.message.Record(a.config.Owner))
	if out.once != nil {
		record, err := out.once.record(a.config.Owner, a.peer, receipt, now)
		if err != nil {
			return err
		}
		a.write(record)
	}
	switch {
	case out.copyOf != nil:
		name := CopyName(a.config.Owner, *out.copyOf)
		a.write(persistence.Record{Name: name, Delete: true})
		out.events = append(out.events, lost...)
	case !a.own() && a.config.Host.Siblings():
		c := Copy{Recipient: a.peer, ID: receipt.ID, Payload: out.draft.Payload}
		record, err := c.Record(a.config.Owner)
		if err != nil {
			return err
		}
		a.write(record)
		out.copied = a.config
	}
	for i := range out.shares {
		next, used := contact.uses(out.draft.Targets[i].ID, out.shares[i].result.Active)
		contact = next
		effects.add(used)
	}
	out.take(a, contact, effects)
	return nil
}

// finish publishes what is durable and answers the sender.
func (out *outgoing) finish(a *Actor, err error) {
	if err != nil {
		if out.copied != nil {
			out.copied.Host.CopyOut(out.receipt.ID) // it may be in the store all the same
		}
		a.noTarget(out.reply, err)
		return
	}
	if out.copyOf != nil {
		a.config.Counters.Copies.Add(1)
	} else {
		a.config.Counters.Sent.Add(1)
	}
	out.reply.Send(out.receipt)
	a.transmit(out.receipt.ID, out.message.Message, out.message.Created, len(out.draft.Targets) == 0, out.timing != nil)
	if out.copied != nil {
		out.copied.Host.CopyOut(out.receipt.ID)
	}
}
