package deviceactor

import (
	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/sessionactor"
)

// Reserve asks for a lease of Size messages to the contact. The answer comes when
// all its reservations are durable, in one commit; ErrLeaseOver if it has ended
// by then.
type Reserve struct {
	actors.Reply[*Lease]
	Size uint32
}

// reserved is the answer of a session to a reservation.
type reserved struct {
	of     *work
	lease  *Lease
	target int
	result sessionactor.Reserved
	err    error
}

// reserve waits for our bundle, as sending does.
func (a *Actor) reserve(m Reserve) {
	if len(a.reserves) == 0 && a.hasBundle() {
		a.lease(m)
		return
	}
	a.reserves = append(a.reserves, m)
	a.askBundle()
}

// leaseHeld goes on with the reservations that wait for our bundle. One that is
// not ours any more is no good for messages that will be made later.
func (a *Actor) leaseHeld(err error) {
	if err == nil && a.bundle.Until == 0 && len(a.reserves) > 0 {
		a.askBundle()
		return
	}
	held := a.reserves
	a.reserves = nil
	for _, m := range held {
		if err != nil {
			m.Fail(err)
			continue
		}
		a.lease(m)
	}
}

// lease asks the session of each target for its block.
func (a *Actor) lease(m Reserve) {
	now := a.config.Host.Now()
	lease, err := a.contact.Lease(a.config.View, a.bundle, a.config.Host.Siblings(), a.config.Random, now)
	if err != nil {
		a.noTarget(m, err)
		return
	}
	a.leases.Add(lease)
	w := &work{waiting: len(lease.targets)}
	w.task = &errand{func() error {
		contact, effects, err := a.contact.Grant(a.config.View, lease, a.config.Host.Now())
		if err != nil {
			return err
		}
		w.take(a, contact, effects)
		return nil
	}, func(a *Actor, err error) {
		switch {
		case err != nil:
			lease.End()
			a.noTarget(m, err)
		case lease.Left() == 0:
			m.Fail(ErrLeaseOver)
		default:
			m.Send(lease)
		}
	}}
	for i, target := range lease.targets {
		self := a.self
		a.sessions.Tell(a.sessionName(target.ID), sessionactor.Reserve{
			Size:   m.Size,
			Entry:  target.Entry,
			Own:    *a.ownEntry,
			Now:    now,
			Active: target.Session,
			Reply: actors.ReplyFunc(func(r sessionactor.Reserved, err error) {
				self.Tell(reserved{w, lease, i, r, err})
			}),
		})
	}
	a.enqueue(w)
}

func (a *Actor) reserved(m reserved) {
	target := m.lease.targets[m.target].ID
	m.lease.Reserved(m.target, m.result.Reservation, m.err)
	a.count(m.result.Started, m.result.Turned)
	m.of.transitions(a, target, m.result.Transitions, m.lease)
	a.answered(m.of, target, m.result.Records, m.err)
}
