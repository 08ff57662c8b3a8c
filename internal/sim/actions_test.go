package sim

import (
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/proto/wire"
)

// send lets the user of a device write to somebody.
func (w *world) send(d *device, to *person) *message {
	m := w.compose(d, to)
	own, err := d.running.Contact(ctx, d.person.public)
	m.wantCopy = err == nil && to != d.person && slices.ContainsFunc(own.Installations, func(in deviceactor.Installation) bool {
		return in.Enabled
	})

	w.judge.sending = m
	receipt, err := d.running.Send(ctx, to.public, m.payload, d.clock())
	w.judge.sending = nil
	w.report.Sent++
	w.logf("%v sends %v to %s%s%s", d, m, to.name, w.describe(receipt), because(err))
	w.look(d, nil)
	defer w.settle(d)
	for _, failed := range receipt.Failed {
		if w.excuseSending(d, to, failed.Err) == "" {
			w.violation("%v could not be sent to %s: %v", m, w.nameOf(failed.Installation), failed.Err)
		}
	}
	switch {
	case err != nil:
		if w.excuseSending(d, to, err) == "" {
			w.violation("%v could not be sent to %s: %v", m, to.name, err)
		}
		w.report.Unsent[causeOf(err)]++
	case !m.durable:
		w.violation("%v was sent, and stands nowhere", m)
	case receipt.ID != m.id:
		w.violation("%v has a receipt for another message", m)
	default:
		w.checkReceipt(m, receipt)
	}
	return m
}

func (w *world) describe(r deviceactor.Receipt) string {
	if len(r.Installations) == 0 {
		return ""
	}
	text := ", for"
	for _, id := range r.Installations {
		text += " " + w.nameOf(id)
	}
	if r.Started > 0 {
		text += fmt.Sprintf(" (%d new)", r.Started)
	}
	return text
}

// checkReceipt holds that a receipt names those who were sent to, and that
// nothing goes without a session to somebody whose installations are known.
func (w *world) checkReceipt(m *message, r deviceactor.Receipt) {
	p := w.judge.outbox[m.id]
	if !slices.Equal(p.targets, r.Installations) {
		w.violation("the receipt of %v names other installations than the message", m)
	}
	open := slices.Contains(r.Installations, wire.NoInstallation)
	if r.ForwardSecrecy == open {
		w.violation("the receipt of %v is wrong about forward secrecy", m)
	}
	if open && m.known {
		w.violation("%v went without a session, though there are installations to make one with", m)
	}
}

// enable lets the user approve or disable an installation that is known.
func (w *world) enable(d *device, of *person, id string, enabled bool) error {
	err := d.running.Enable(ctx, of.public, id, enabled, d.clock())
	w.logf("%v %s %s%s", d, choose(enabled, "enables", "disables"), w.nameOf(id), because(err))
	w.look(d, nil)
	d.disabled[id] = err == nil && !enabled // after a failure nobody knows
	if err != nil && !d.faulty && causeOf(err) == "other" {
		w.violation("%v could not change %s: %v", d, w.nameOf(id), err)
	}
	w.settle(d)
	return err
}

// answer lets the user accept or deny a contact.
func (w *world) answer(d *device, p *person, accept bool) error {
	var err error
	if accept {
		err = d.running.Accept(ctx, p.public, d.clock())
	} else {
		d.denied[p] = true
		with := w.sessionsWith(d, p)
		if err = d.running.Deny(ctx, p.public); err == nil || d.faulty {
			w.forgetPerson(d, p)
			for _, name := range with {
				d.forgot[name] = true
			}
		}
	}
	w.logf("%v %s %s%s", d, choose(accept, "accepts", "denies"), p.name, because(err))
	w.look(d, nil)
	w.settle(d)
	return err
}

// forgetPerson: with a denied contact goes what the user has disabled, and what
// would tell its replayed requests.
func (w *world) forgetPerson(d *device, p *person) {
	for _, other := range p.devices {
		delete(d.disabled, other.id)
	}
	for m := range d.seen {
		if m.from.person == p {
			delete(d.seen, m)
		}
	}
	d.unacked = slices.DeleteFunc(slices.Clone(d.unacked), func(m deviceactor.MessageReceived) bool { return m.Sender == p.public })
}

// show gives the bundle of a device to another one by hand.
func (w *world) show(from, to *device) {
	b, err := from.running.Bundle(ctx, from.clock())
	w.look(from, nil)
	w.settle(from)
	if err == nil {
		err = to.running.TakeBundle(ctx, from.person.public, wire.EncodeBundle(b), to.clock())
		w.look(to, nil)
		w.settle(to)
	}
	w.logf("%v shows its bundle to %v%s", from, to, because(err))
}
