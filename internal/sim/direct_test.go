package sim

import (
	"fmt"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/transport"
)

// directBlock is how many message numbers a device reserves at a time: so few
// that crashes in one schedule do not skip more than a receiver allows.
const directBlock = 8

// sendDirect lets the user of a device make a message and carry it himself:
// nothing of it is stored, and our own other devices get no copy.
func (w *world) sendDirect(d *device, to *person) {
	m := w.compose(d, to)
	m.wantCopy = false
	made, err := d.running.Direct(ctx, to.public, m.payload, directBlock, d.clock())
	w.report.Sent++
	text := w.describe(deviceactor.Receipt{Installations: made.Installations})
	w.logf("%v sends %v to %s directly%s%s", d, m, to.name, text, because(err))
	w.look(d, nil)
	defer w.settle(d)
	for _, failed := range made.Failed {
		if w.excuseSending(d, to, failed.Err) == "" {
			w.violation("%v could not be sent to %s: %v", m, w.nameOf(failed.Installation), failed.Err)
		}
	}
	switch {
	case err != nil:
		if w.excuseDirect(d, m, err) == "" {
			w.violation("%v could not be sent to %s: %v", m, to.name, err)
		}
		w.report.Unsent[causeOf(err)]++
	case !d.disk.off: // else nobody is left to carry it
		w.judge.sending = m
		w.durable(d, deviceactor.Outgoing{ID: made.ID, Recipient: to.public, Message: made.Message}, nil)
		w.judge.sending = nil
		w.checkReceipt(m, deviceactor.Receipt{ID: made.ID, Installations: made.Installations, ForwardSecrecy: true})
		w.publish(d, transport.Envelope{Topic: transport.PersonalTopic(to.public), Sender: d.person.public, Payload: made.Message})
	}
}

// excuseDirect finds the reason why a message could not be made: beside those of
// sending that there is nobody to have a session with, or no bundle to believe.
func (w *world) excuseDirect(d *device, m *message, err error) string {
	switch {
	case isAny(err, deviceactor.ErrLeaseOver):
		return unless(!d.jumped, "wrong clock")
	case isAny(err, deviceactor.ErrNoTarget) && !m.known:
		return "nobody known"
	}
	return w.excuseSending(d, m.to, err)
}

func (w *world) doSendDirect() bool {
	d, ok := w.somebody()
	to, _ := pick(w, w.people)
	if !ok || to == d.person {
		return false
	}
	for range 1 + w.random.IntN(directBlock/2) {
		if d.up() {
			w.sendDirect(d, to)
		}
	}
	return true
}

// direct is the command of a scenario.
func (s *script) direct(args []string) error {
	d, p, err := s.deviceAndPerson(args)
	if err == nil {
		s.w.sendDirect(d, p)
	}
	return err
}

// compose notes a message that the user of a device is about to send.
func (w *world) compose(d *device, to *person) *message {
	m := &message{number: len(w.judge.messages) + 1, from: d, to: to, forbidden: make(map[string]bool)}
	m.payload = fmt.Appendf(nil, "message %d of %v to %s", m.number, d, to.name)
	for id, disabled := range d.disabled {
		m.forbidden[id] = disabled
	}
	w.judge.messages = append(w.judge.messages, m)
	w.judge.byPayload[string(m.payload)] = m
	known, err := d.running.Contact(ctx, to.public)
	m.known = err == nil && len(known.Installations) > 0
	return m
}
