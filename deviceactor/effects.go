package deviceactor

import "github.com/rookery-im/rookery/persistence"

// Effects are what a step of a Contact did beside its next state: what has to
// be committed, and the events to report once that is durable.
type Effects struct {
	Contact       bool           // the contact is new or changed, beside its installations
	Installations []Installation // new or changed ones, in their new form
	Events        []Event
}

// add puts the effects of a later step behind those of an earlier one.
func (e *Effects) add(later Effects) {
	if e.Installations == nil && e.Events == nil {
		later.Contact = e.Contact || later.Contact
		*e = later
		return
	}
	e.Contact = e.Contact || later.Contact
	for _, in := range later.Installations {
		e.put(in)
	}
	e.Events = append(e.Events, later.Events...)
}

func (e *Effects) put(in Installation) {
	for i := range e.Installations {
		if e.Installations[i].ID == in.ID {
			e.Installations[i] = in
			return
		}
	}
	e.Installations = append(e.Installations, in)
}

func (e *Effects) report(events ...Event) { e.Events = append(e.Events, events...) }

// Records are what has to be committed before an event of the step is
// reported. c is the contact as the step has left it.
func (e *Effects) Records(owner persistence.OwnerID, c *Contact) []persistence.Record {
	records := e.records(nil, owner, c)
	persistence.Encode(records)
	return records
}

// records appends those of Records, of which not all are encoded yet.
func (e *Effects) records(out []persistence.Record, owner persistence.OwnerID, c *Contact) []persistence.Record {
	if e.Contact || len(e.Installations) > 0 {
		content := *c // steps change copies
		content.apart = nil
		out = append(out, persistence.Record{Name: contactName(owner, c.Identity), Content: &content})
		for _, name := range c.apart {
			out = append(out, persistence.Record{Name: name, Delete: true})
		}
		c.apart = nil
	}
	for _, event := range e.Events {
		received, ok := event.(MessageReceived)
		if !ok {
			continue
		}
		content, _ := event.(persistence.Content) // which it is, and so is not copied
		out = append(out, persistence.Record{Name: InboxName(owner, c.Identity, received.ID), Content: content})
	}
	return out
}
