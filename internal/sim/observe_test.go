package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
)

// look judges what a device has reported since the last look. f is the flight
// that it was handling, nil if none.
func (w *world) look(d *device, f *flight) {
	events := d.events
	d.events = nil
	for _, e := range events {
		switch e := e.(type) {
		case deviceactor.MessageReceived:
			w.received(d, e, f)
		case deviceactor.Alarm:
			w.alarm(d, e, f)
		case deviceactor.SessionChanged:
			w.sessionChanged(d, e)
		case deviceactor.InstallationDiscovered:
			w.logf("    %v discovers %s%s", d, w.nameOf(e.Installation), unless(e.Enabled, ", to be approved"))
		case deviceactor.InstallationEnabled:
			w.logf("    %v has %s %s", d, choose(e.Enabled, "enabled", "disabled"), w.nameOf(e.Installation))
		case deviceactor.InstallationStale:
			w.logf("    for %v %s is %s", d, w.nameOf(e.Installation), choose(e.Stale, "stale", "back"))
		case deviceactor.ForwardSecrecyEstablished:
			w.logf("    %v has forward secrecy with %s", d, w.personOf(e.Identity).name)
		case deviceactor.MessageRefused: // judged by what Receive has answered
		}
	}
}

func unless(condition bool, text string) string { return choose(condition, "", text) }

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

// received holds that a message which is reported was sent, by whom it says, to
// whom it says, unaltered, and that it was not reported before.
func (w *world) received(d *device, e deviceactor.MessageReceived, f *flight) {
	m := w.judge.byPayload[string(e.Payload)]
	if m == nil {
		w.violation("%v reports a message that nobody has sent", d)
		return
	}
	what := fmt.Sprint(m)
	if m.from.person == d.person {
		what = fmt.Sprintf("%v, its own to %s", m, m.to.name)
	}
	w.logf("    %v gets %s from %s%s%s", d, what, w.nameOf(e.Installation), unless(!e.Request, ", a request"), unless(e.ForwardSecrecy, ", without forward secrecy"))
	switch {
	case e.Sender != m.from.person.public:
		w.violation("%v from %v is reported as %s's", m, m.from, w.personOf(e.Sender).name)
	case e.Recipient != m.to.public || m.to != d.person && m.from.person != d.person:
		w.violation("%v to %s is reported to %v as one to %s", m, m.to.name, d, w.personOf(e.Recipient).name)
	case e.ForwardSecrecy && e.Installation != m.from.id:
		w.violation("%v of %v is reported as one of %s", m, m.from, w.nameOf(e.Installation))
	case f != nil && !w.approves(d, m.from):
		w.violation("%v of %v is reported by %v, which has not approved it", m, m.from, d)
	case m.forbidden[d.id]:
		w.violation("%v was sent after its sender had disabled %v", m, d)
	case m.durable && e.ID != m.id && f != nil && !f.altered:
		w.violation("%v has the id %x, and at %v %x", m, m.id[:4], d, e.ID[:4])
	}
	if before := d.seen[m]; before != nil && !d.tainted && (!d.opening || before.acked || before.id != e.ID) {
		w.violation("%v is reported to %v again", m, d)
	}
	d.seen[m] = &sighting{id: e.ID}
	d.unacked = append(slices.DeleteFunc(slices.Clone(d.unacked), func(u deviceactor.MessageReceived) bool { return u.ID == e.ID }), e)
	if !d.opening {
		w.report.Delivered++
	}
}

// alarm holds that the two alarms which accuse somebody do it rightly: there are
// two copies, or an envelope was altered.
func (w *world) alarm(d *device, e deviceactor.Alarm, f *flight) {
	w.logf("    %v alarms of %s: %v", d, w.nameOf(e.Installation), e.Err)
	w.report.Alarms[causeOf(e.Err)]++
	accused := w.deviceOf(e.Installation)
	guilty := accused != nil && accused.tainted || f != nil && f.altered
	if isAny(e.Err, deviceactor.ErrConflict, sessionactor.ErrCloned) && !guilty {
		w.violation("%v alarms of %s without a reason: %v", d, w.nameOf(e.Installation), e.Err)
	}
	if errors.Is(e.Err, deviceactor.ErrCopyLost) {
		for _, m := range w.judge.messages {
			m.copied = m.copied || m.from == d
		}
	}
}

// sessionChanged holds that a session expires once.
func (w *world) sessionChanged(d *device, e deviceactor.SessionChanged) {
	w.logf("    %v and %s: session %s, %s", d, w.nameOf(e.Installation), e.To, e.Cause)
	w.report.Sessions[string(e.To)]++
	if e.To != sessionactor.BecameExpired {
		return
	}
	id := e.Session.String()
	if d.expired[id] && !d.tainted && len(d.denied) == 0 {
		w.violation("session %s with %s has expired twice at %v", id[:8], w.nameOf(e.Installation), d)
	}
	d.expired[id] = true
}

// deliver lets an envelope arrive.
func (w *world) deliver(f *flight) {
	w.net.take(f)
	d := f.to
	before := d.disk.mark(w.random.IntN(16) == 0)
	if p := f.publication; p != nil && !w.approves(d, f.from) {
		p.fate(d).unread++
	}
	err := d.running.Receive(ctx, f.envelope, d.clock())
	w.logf("%v reaches %v%s", f, d, because(err))
	w.look(d, f)
	defer w.settle(d)
	if err != nil && deviceactor.Unhandled(err) {
		if !d.faulty {
			w.violation("%v could not handle %v: %v", d, f, err)
		}
		w.net.flights = append(w.net.flights, f) // it comes again
		return
	}
	if err != nil {
		w.refused(f, err)
		w.checkUntouched(f, before)
		return
	}
	w.accepted(f)
	w.checkLimits(d, f.from, allowed)
}

// accepted holds that what is not refused is reported, to those it is for.
func (w *world) accepted(f *flight) {
	p, d := f.publication, f.to
	if p == nil || f.altered {
		return
	}
	p.fate(d).accepted++
	switch {
	case !p.goesTo(d):
		w.violation("%v has accepted %v, which is not for it", d, f)
	case d.seen[p.of] == nil && !d.disk.off && p.fate(d).unread == 0:
		w.violation("%v has accepted %v without reporting it", d, f)
	}
}

// approves tells whether the user of a device takes another one for his own, if
// both are the same person's. What a device writes that was not approved shows
// that it is there, and is dropped.
func (w *world) approves(d, other *device) bool {
	if d.person != other.person {
		return true
	}
	own, err := d.running.Contact(ctx, d.person.public)
	if err != nil {
		return true
	}
	in, _ := own.Find(other.id)
	return in.Enabled
}

// refused holds that what is refused is so for a reason that the world knows.
func (w *world) refused(f *flight, err error) {
	cause := causeOf(err)
	why := w.excuse(f, err)
	if why == "" {
		w.violation("%v has refused %v without a reason: %v", f.to, f, err)
	}
	w.report.Refused[cause+" ("+why+")"]++
	if p := f.publication; p != nil && !f.altered {
		p.fate(f.to).refused++
	}
}

// checkUntouched holds that a refused message has changed nothing.
func (w *world) checkUntouched(f *flight, before mark) {
	if after := f.to.disk.mark(before.hashed); after != before {
		w.violation("%v has refused %v and changed its store", f.to, f)
	}
}

// limits are what nobody may pass.
type limits struct{ sessions, skipped, installations int }

var allowed = limits{sessions: 40, skipped: ratchet.DeployedLimits().MaxStored, installations: 64}

// checkLimits holds the bounds of what a peer can make a device keep.
func (w *world) checkLimits(d, from *device, allowed limits) {
	if !d.up() || d.disk.off {
		return
	}
	contact, err := d.running.Contact(ctx, from.person.public)
	if err != nil {
		return
	}
	sessions, err := d.running.Sessions(ctx, from.person.public, from.id)
	if err != nil {
		return
	}
	view := d.config().View
	if n := len(contact.Installations); n > allowed.installations {
		w.violation("%v keeps %d installations of %s", d, n, from.person.name)
	}
	if n := len(contact.Targets(view, d.clock())); n > view.MaxInstallations {
		w.violation("%v writes to %d installations of %s", d, n, from.person.name)
	}
	usable := 0
	for i := range sessions.List {
		if sessions.List[i].Status != sessionactor.Forgotten {
			usable++
		}
	}
	if usable > allowed.sessions {
		w.violation("%v keeps %d sessions with %v", d, usable, from)
	}
	for id, skipped := range sessions.Skipped {
		if skipped.Len() > allowed.skipped {
			w.violation("%v keeps %d skipped keys of session %v with %v", d, skipped.Len(), id, from)
		}
	}
}
