package deviceactor

import (
	"context"
	"slices"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// expireEvery is how often a contact in memory looks for what has expired.
const expireEvery = time.Hour

// expire asks which of our prekeys still exist: an initial message that names
// one of them could come again, and has to be recognised.
func (a *Actor) expire() {
	a.expired = a.config.Host.Now()
	a.pending++
	self := a.self
	a.config.Host.AskBundle(bundleactor.GetUsable{Reply: actors.ReplyFunc(func(usable []x3dh.PreKeyPublic, err error) {
		self.Tell(gotUsable{usable, err})
	})})
}

// gotUsable deletes old sessions and notes which installations have become
// stale. If that fails it is done an hour later.
func (a *Actor) gotUsable(m gotUsable) {
	if m.err != nil {
		return
	}
	now := a.config.Host.Now()
	a.change(actors.Reply[struct{}]{}, func(c Contact) (Contact, Effects, error) {
		next, e := c.Age(now)
		return next, e, nil
	})
	w := new(work)
	w.task = &errand{begin: func() error { return w.err }}
	a.eachSession(w, func(installation string, to func(swept)) any {
		return sessionactor.Expire{
			Usable: m.usable,
			Now:    now,
			Reply: actors.ReplyFunc(func(r sessionactor.ExpiredSessions, err error) {
				to(swept{w, installation, r.Records, r.Transitions, err})
			}),
		}
	})
	a.enqueue(w)
}

// eachSession gives work to the sessions of all known installations, and of
// those that a message on its way is about to make known.
func (a *Actor) eachSession(w *work, message func(installation string, to func(swept)) any) {
	self := a.self
	to := func(m swept) { self.Tell(m) }
	known := make([]string, 0, len(a.contact.Installations))
	for i := range a.contact.Installations {
		known = append(known, a.contact.Installations[i].ID)
	}
	for _, before := range a.queue {
		if in, ok := before.task.(*incoming); ok && in.sender != "" && !slices.Contains(known, in.sender) {
			known = append(known, in.sender)
		}
	}
	w.waiting = len(known)
	for _, id := range known {
		a.sessions.Tell(a.sessionName(id), message(id, to))
	}
}

func (a *Actor) swept(m swept) {
	if m.err != nil {
		m.of.err = m.err
	}
	m.of.transitions(a, m.installation, m.transitions, nil)
	a.answered(m.of, m.installation, m.records, m.err)
}

// deny forgets the contact with all its records.
func (a *Actor) deny(m Deny) {
	if a.own() || a.contact.FirstSeen == 0 {
		m.Fail(ErrNoRequest)
		return
	}
	if err := a.contact.open(); err != nil {
		m.Fail(err) // it would be welcome again
		return
	}
	a.denying = true
	a.leases.End()
	w := new(work)
	w.task = &errand{func() error {
		a.denying = false
		if w.err != nil {
			return w.err
		}
		a.commit() // for the reader to show it
		records, err := Forget(context.Background(), a.config.Reader, a.config.Owner, &a.contact)
		if err != nil {
			return err
		}
		a.write(records...)
		a.contact = Contact{Identity: a.peer}
		clear(a.unaccepted)
		a.untakenAll(ErrWithdrawn)
		return nil
	}, func(_ *Actor, err error) {
		if err == nil {
			a.config.Host.Forgotten(a.peer)
		}
		answer(m.Reply, err)
	}}
	a.eachSession(w, func(installation string, to func(swept)) any {
		return sessionactor.Delete{
			Reply: actors.ReplyFunc(func(r sessionactor.DeletedAll, err error) {
				to(swept{of: w, installation: installation, records: r.Records, err: err})
			}),
		}
	})
	a.enqueue(w)
}

// waitsForDenial tells whether a message acts on what is known of the contact.
func waitsForDenial(message any) bool {
	switch message.(type) {
	case Send, Reserve, Receive, TakeBundle, SetEnabled, SetBlocked, Accept, Deny, gotBundle, gotPreKey, inTurn, lookUpOver:
		return true
	}
	return false
}

// Forget gives the records that delete everything of a contact but the sessions.
func Forget(ctx context.Context, from Reader, owner persistence.OwnerID, c *Contact) ([]persistence.Record, error) {
	records := []persistence.Record{{Name: contactName(owner, c.Identity), Delete: true}}
	for _, kind := range []persistence.Kind{persistence.KindInstallation, persistence.KindInbox, persistence.KindOutbox} {
		prefix := persistence.NewName(kind, owner[:], c.Identity[:])
		err := from.Scan(ctx, prefix, func(name persistence.Name, _ []byte) error {
			records = append(records, persistence.Record{Name: name, Delete: true})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return records, nil
}
