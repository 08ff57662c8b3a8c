package sim

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// network holds the envelopes under way.
type network struct {
	flights []*flight // in the order of their publication
	past    []*flight // what can be replayed
}

// maxPast bounds what an attacker has recorded.
const maxPast = 300

// flight is one envelope on its way to one device.
type flight struct {
	envelope    transport.Envelope
	from, to    *device
	publication *publication // nil: it carries only keys
	altered     bool         // it is not what was published
}

func (f *flight) String() string {
	kind := "keys"
	if f.publication != nil {
		kind = f.publication.String()
	}
	if f.altered {
		kind = "altered " + kind
	}
	return fmt.Sprintf("%s from %v", kind, f.from)
}

// publish is what every device calls to send something.
func (w *world) publish(d *device, e transport.Envelope) {
	if d.disk.off {
		return
	}
	w.trace.hash.Write(fmt.Appendf(nil, "%v %x\n", e.Topic, sha256.Sum256(e.Payload)))
	p := w.judge.publications[sha256.Sum256(e.Payload)]
	w.published(d, p, e)
	for _, to := range w.audience(d, e.Topic) {
		w.fly(&flight{envelope: e, from: d, to: to, publication: p})
	}
}

// audience are the devices that listen on a topic, in a fixed order.
func (w *world) audience(from *device, topic transport.Topic) []*device {
	return w.devices((*device).live, func(d *device) bool {
		switch topic {
		case transport.PersonalTopic(d.person.public):
			return true
		case transport.ContactCodeTopic(from.person.public):
			return d != from && (d.person == from.person || d.follows[from.person])
		}
		return false
	})
}

// fly adds an envelope to those under way.
func (w *world) fly(f *flight) {
	w.net.flights = append(w.net.flights, f)
	if p := f.publication; p != nil && !f.altered {
		p.fate(f.to).made++
	}
	if !f.altered && len(w.net.past) < maxPast {
		w.net.past = append(w.net.past, f)
	}
}

// deliverable are the flights whose device can take them.
func (w *world) deliverable() []*flight {
	var out []*flight
	for _, f := range w.net.flights {
		if f.to.up() && !f.to.cutOff {
			out = append(out, f)
		}
	}
	return out
}

// take removes a flight from those under way.
func (n *network) take(f *flight) {
	if i := slices.Index(n.flights, f); i >= 0 {
		n.flights = slices.Delete(n.flights, i, i+1)
	}
}

// purge removes what is under way to a device that is gone.
func (n *network) purge(d *device) {
	n.flights = slices.DeleteFunc(n.flights, func(f *flight) bool {
		if f.to == d && f.publication != nil && !f.altered {
			f.publication.fate(d).dropped++
		}
		return f.to == d
	})
}

// drop loses an envelope.
func (w *world) drop(f *flight) {
	w.net.take(f)
	if f.publication != nil && !f.altered {
		f.publication.fate(f.to).dropped++
	}
	w.logf("%v to %v is lost", f, f.to)
}

// again sends an envelope once more to the same device.
func (w *world) again(f *flight) {
	copied := *f
	w.fly(&copied)
	w.logf("%v to %v comes again", f, f.to)
}

// replace loses an envelope and sends another one in its place.
func (w *world) replace(f *flight, e transport.Envelope, how string) {
	w.net.take(f)
	if f.publication != nil && !f.altered {
		f.publication.fate(f.to).dropped++
	}
	w.logf("%v to %v is %s", f, f.to, how)
	w.fly(&flight{envelope: e, from: f.from, to: f.to, publication: f.publication, altered: true})
}

// flip changes one bit of an envelope's message, somewhere. Who sent it, from
// which installation and with a bundle of whom is what the envelope proves, so
// that these are left alone.
func (w *world) flip(f *flight) bool {
	for range 8 {
		e := f.envelope
		e.Payload = bytes.Clone(e.Payload)
		at := w.random.IntN(len(e.Payload))
		e.Payload[at] ^= 1 << w.random.IntN(8)
		if sameOrigin(e, f.envelope) {
			w.replace(f, e, fmt.Sprintf("changed in byte %d", at))
			return true
		}
	}
	return false
}

// truncate cuts an envelope's message.
func (w *world) truncate(f *flight) bool {
	e := f.envelope
	e.Payload = bytes.Clone(e.Payload[:w.random.IntN(len(e.Payload))])
	if !sameOrigin(e, f.envelope) {
		return false
	}
	w.replace(f, e, fmt.Sprintf("cut to %d bytes", len(e.Payload)))
	return true
}

func sameOrigin(changed, original transport.Envelope) bool {
	a, err := wire.Decode(changed.Payload)
	if err != nil {
		return true // it will be refused
	}
	b, err := wire.Decode(original.Payload)
	return err == nil && a.InstallationID == b.InstallationID && slices.EqualFunc(a.Bundles, b.Bundles, func(x, y wire.Bundle) bool {
		return x.Identity == y.Identity
	})
}

// forge lets somebody else send an envelope as their own. Not one without a
// session: there the envelope alone proves the sender.
func (w *world) forge(f *flight, as *person) bool {
	m, err := wire.Decode(f.envelope.Payload)
	if err != nil || as == f.from.person {
		return false
	}
	for _, entry := range m.Entries {
		if entry.Part.DR == nil {
			return false
		}
	}
	e := f.envelope
	e.Sender = as.public
	w.replace(f, e, "sent as "+as.name+"'s")
	return true
}
