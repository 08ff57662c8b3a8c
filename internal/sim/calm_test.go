package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// exchanges is within how many exchanges everybody agrees once the faults have
// ended. In an exchange everybody writes to everybody, and all arrives.
const exchanges = 2

// calm ends the faults, and holds that everybody agrees.
func (w *world) calm() {
	w.logf("calm")
	w.heal()
	if w.judge.verdict != nil {
		return
	}
	for range exchanges {
		w.exchange()
	}
	if w.judge.verdict == nil {
		w.checkAgreement()
		w.checkReading(w.exchange())
		w.checkLosses()
	}
}

// heal repairs everything and lets the consequences run out: clocks are right,
// who was rolled back becomes a new installation, everybody reads everybody's
// contact code, which is what helps against prekeys that are too old, and enough
// time passes that doubted clocks are believed and nobody has to wait for an
// answer.
func (w *world) heal() {
	wrong := 0
	for _, d := range w.devices((*device).live) {
		d.cutOff, d.disk.next = false, noFault
		if d.offset != 0 || d.stuck != 0 {
			w.mendClock(d)
		}
		if d.jumped {
			wrong++
		}
		if d.up() {
			w.switchOff(d)
		}
	}
	for _, d := range w.devices((*device).live) {
		if d.tainted {
			w.recover(d)
		} else {
			w.switchOn(d)
		}
	}
	for _, d := range w.devices((*device).live) {
		for _, p := range w.people {
			d.follows[p] = true
		}
	}
	w.drain()
	rounds := 2
	if wrong > 0 {
		rounds = 8
	}
	for n := 0; (n < rounds || w.rotationNear()) && n < 20; n++ {
		w.pass(4 * time.Hour)
		for _, d := range w.devices((*device).live) {
			w.sweep(d)
		}
		w.drain()
	}
	w.approve()
}

// rotationNear tells whether somebody is about to make a new prekey: during an
// exchange that would be one more reason for new sessions.
func (w *world) rotationNear() bool {
	for _, d := range w.devices((*device).live) {
		for _, k := range d.preKeys() {
			if k.Expired == 0 && w.now-k.Created > int64(rotation-time.Hour) {
				return true
			}
		}
	}
	return false
}

// drain lets everything arrive that is under way, in a random order.
func (w *world) drain() {
	for n := 0; ; n++ {
		f, ok := pick(w, w.deliverable())
		if !ok || w.judge.verdict != nil {
			return
		}
		if n > 20_000 {
			w.violation("messages are answered with messages without end")
			return
		}
		w.deliver(f)
		w.pass(w.between(time.Millisecond, 100*time.Millisecond))
	}
}

// approve lets every user enable what is known and not disabled, and give up
// own devices that are gone.
func (w *world) approve() {
	for _, d := range w.devices((*device).live) {
		w.tidyDevices(d)
		for _, p := range w.people {
			contact, err := d.running.Contact(ctx, p.public)
			if err != nil || p == d.person {
				continue
			}
			for _, in := range contact.Installations {
				if other := w.deviceOf(in.ID); !in.Enabled && !d.disabled[in.ID] && other != nil && other.live() {
					_ = w.enable(d, p, in.ID, true)
				}
			}
		}
	}
}

// tidyDevices lets the user of a device approve the others of the same identity
// and disable those that are gone.
func (w *world) tidyDevices(d *device) {
	own, err := d.running.Contact(ctx, d.person.public)
	if err != nil {
		return
	}
	for _, gone := range []bool{true, false} { // first make room
		for _, in := range own.Installations {
			other := w.deviceOf(in.ID)
			if other == nil || !d.up() || other.live() == gone || in.Enabled != gone {
				continue
			}
			_ = w.enable(d, d.person, in.ID, !gone)
		}
	}
}

// exchange lets everybody write to everybody, one after the other or all at
// once, and everything arrive.
func (w *world) exchange() []*message {
	var sent []*message
	all := w.devices((*device).live)
	w.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	atOnce := w.oneIn(2)
	for _, d := range all {
		for _, p := range w.people {
			if p != d.person || len(p.inUse()) > 1 {
				sent = append(sent, w.send(d, p))
			}
			if !atOnce {
				w.drain()
			}
		}
	}
	w.drain()
	w.approve()
	w.drain()
	return sent
}

// pairs calls with every ordered pair of devices that write to each other.
func (w *world) pairs(with func(from, to *device)) {
	for _, from := range w.devices((*device).live) {
		for _, to := range w.devices((*device).live) {
			if from == to {
				continue
			}
			if why := w.excluded(from, to); why != "" {
				w.report.Excluded[why]++
				continue
			}
			with(from, to)
		}
	}
}

// excluded tells why a device need not reach another one, "" if it has to.
func (w *world) excluded(from, to *device) string {
	switch {
	case from.disabled[to.id]:
		return "disabled by the user"
	case w.usesForgotten(from, to) || w.usesForgotten(to, from):
		return "a late message made a session again that its maker has denied and forgotten"
	}
	return ""
}

// sessionName tells one session from all others, the same on both ends.
type sessionName struct {
	prekey    x3dh.PreKeyPublic
	ephemeral [32]byte // the x coordinate
}

func nameOfSession(s *sessionactor.Session) sessionName {
	return sessionName{s.PreKey, [32]byte(s.Ephemeral[1:])}
}

// sessionsWith are the sessions that a device has with somebody.
func (w *world) sessionsWith(d *device, p *person) []sessionName {
	var names []sessionName
	for _, other := range p.devices {
		sessions, err := d.running.Sessions(ctx, p.public, other.id)
		for i := range sessions.List {
			if err == nil {
				names = append(names, nameOfSession(sessions.List[i]))
			}
		}
	}
	return names
}

// usesForgotten tells whether a device sends on a session that the other end has
// forgotten with a denied contact, and does not have again: until one of them has
// a new prekey it need not be left.
func (w *world) usesForgotten(d, other *device) bool {
	s := w.activeSession(d, other)
	return s != nil && other.forgot[nameOfSession(s)] && !slices.Contains(w.sessionsWith(other, d.person), nameOfSession(s))
}

// checkAgreement holds that of every pair both use the same session.
func (w *world) checkAgreement() {
	w.pairs(func(from, to *device) {
		if w.excluded(to, from) != "" {
			return // it never answers, so that from has nothing to agree with
		}
		a, b := w.activeSession(from, to), w.activeSession(to, from)
		switch {
		case a == nil || b == nil:
			w.violation("after %d exchanges %v and %v have no session", exchanges, from, to)
		case !sameSession(a, b):
			w.violation("after %d exchanges %v and %v use different sessions: %s, %s", exchanges, from, to, describe(a), describe(b))
		default:
			w.report.Agreed++
		}
	})
}

// sameSession tells whether two ends have the same session.
func sameSession(a, b *sessionactor.Session) bool {
	return a != nil && b != nil && nameOfSession(a) == nameOfSession(b) && a.Initiator != b.Initiator
}

func describe(s *sessionactor.Session) string {
	return fmt.Sprintf("%v, by the %s, on prekey %x of %s, peer's prekey %x of %s, own %x",
		s.Status, choose(s.Initiator, "initiator", "responder"), s.PreKey[1:4], elapsed(s.Created), s.MadeFrom.PreKey[1:4], elapsed(s.MadeFrom.Timestamp), s.Own.PreKey[1:4])
}

func (w *world) activeSession(of, with *device) *sessionactor.Session {
	s, err := of.running.Sessions(ctx, with.person.public, with.id)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(s.List, func(session *sessionactor.Session) bool { return session.ID == s.Active })
	if i < 0 {
		return nil
	}
	return s.List[i]
}

// checkReading holds that everybody has read everybody.
func (w *world) checkReading(sent []*message) {
	w.pairs(func(from, to *device) {
		for _, m := range sent {
			if m.from == from && m.to == to.person && to.seen[m] == nil {
				w.violation("after %d exchanges %v does not read %v: %s", exchanges, to, from, w.whyNot(from, to, m))
			}
		}
	})
}

// whyNot says where a message has got stuck.
func (w *world) whyNot(from, to *device, m *message) string {
	if p := w.judge.outbox[m.id]; p != nil && p.goesTo(to) {
		return fmt.Sprintf("refused %d times", p.fate(to).refused)
	}
	contact, err := from.running.Contact(ctx, to.person.public)
	if err != nil {
		return err.Error()
	}
	text := "not sent to it, but to"
	for _, in := range contact.Targets(from.config().View, from.clock()) {
		text += fmt.Sprintf(" %s, active at %s;", w.nameOf(in.ID), elapsed(in.Active))
	}
	in, known := contact.Find(to.id)
	return text + fmt.Sprintf(" known %t, enabled %t, active at %s, omitted since %s", known, in.Enabled, elapsed(in.Active), elapsed(in.OmittedSince))
}

// checkLosses holds that every message that was durable has left its sender,
// and has reached everybody it was for or was lost for a reason.
func (w *world) checkLosses() {
	for _, p := range w.judge.order {
		from := p.of.from
		if from.tainted {
			continue
		}
		if p.published == 0 && !p.forgotten && from.live() {
			w.violation("%v was never published", p)
		}
		for _, d := range p.order {
			w.checkFate(p, d)
		}
	}
	for _, m := range w.judge.messages {
		if m.wantCopy && m.durable && !m.copied && m.from.live() && !m.from.tainted {
			w.violation("there is no copy of %v for the other devices of %v", m, m.from)
		}
	}
	for _, d := range w.devices((*device).live) {
		w.checkDisk(d)
	}
}

func (w *world) checkFate(p *publication, d *device) {
	f := p.fate(d)
	switch {
	case f.made != f.dropped+f.refused+f.accepted:
		w.violation("of %d envelopes of %v to %v, %d were lost, %d refused and %d accepted", f.made, p, d, f.dropped, f.refused, f.accepted)
	case d.seen[p.of] != nil || !p.goesTo(d) || d.retired || d.tainted || d.denied[p.of.from.person]:
	case f.unread > 0:
	case f.accepted > 0:
		w.violation("%v was accepted by %v and never reported", p, d)
	case f.refused == 0:
		w.report.Lost++
	}
}

// checkDisk holds that nothing stays behind that waits to be done.
func (w *world) checkDisk(d *device) {
	d.disk.each(func(name persistence.Name, _ []byte) {
		if name.Kind() == persistence.KindOutbox || name.Kind() == persistence.KindCopy {
			w.violation("a record stays in the %v of %v", name.Kind(), d)
		}
	})
}
