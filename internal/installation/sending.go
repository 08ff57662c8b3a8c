package installation

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// Send encrypts a payload for a contact, or for our own other installations if
// it is our identity, and publishes it. Our own others get a copy of what goes
// to a contact. Without an error the message is durable; what fails after that
// is made good by Sweep or the next Open.
func (i *Installation) Send(ctx context.Context, to x3dh.IdentityPublicKey, payload []byte, now int64) (deviceactor.Receipt, error) {
	if to == i.config.View.Own {
		note := deviceactor.Copy{Recipient: to, Payload: payload}
		record, err := note.Record(i.owner)
		if err != nil {
			return deviceactor.Receipt{}, err
		}
		payload = record.Value
	}
	receipt, copied, err := i.send(ctx, to, payload, nil, now)
	if copied {
		_ = i.makeCopy(ctx, receipt.ID, now)
	}
	return receipt, err
}

// send sends one message. copyOf names the original if it is a copy; copied
// tells whether it has to be followed by one.
func (i *Installation) send(ctx context.Context, to x3dh.IdentityPublicKey, payload []byte, copyOf *deviceactor.MessageID, now int64) (receipt deviceactor.Receipt, copied bool, err error) {
	bundle, err := i.Bundle(ctx, now)
	if err != nil {
		return receipt, false, err
	}
	c, err := i.contact(ctx, to)
	if err != nil {
		return receipt, false, err
	}
	draft, err := c.Draft(i.config.View, payload, now)
	if err != nil {
		return receipt, false, err
	}
	var s step
	if len(draft.Targets) == 0 {
		if err := draft.Seal(to, i.config.Random); err != nil {
			return receipt, false, err
		}
	}
	own := deviceactor.EntryOf(&bundle, i.config.View.Installation)
	for n := range draft.Targets {
		i.encrypt(ctx, &s, c, &draft, n, own, now)
	}
	next, message, receipt, effects, err := c.Assemble(i.config.View, &draft, bundle, now)
	if err != nil {
		return receipt, false, err
	}
	lost, err := receipt.CopyLost(to)
	if copyOf != nil && err != nil {
		return receipt, false, err
	}
	s.records = append(s.records, message.Record(i.owner))
	switch {
	case copyOf != nil:
		s.events = append(s.events, lost...)
		s.records = append(s.records, persistence.Record{Name: deviceactor.CopyName(i.owner, *copyOf), Delete: true})
	case to != i.config.View.Own:
		if copied, err = i.noteCopy(ctx, &s, to, receipt.ID, payload); err != nil {
			return receipt, false, err
		}
	}
	i.takeContact(&s, c, next, effects)
	if err := i.commit(ctx, &s); err != nil {
		return receipt, false, err
	}
	_ = i.transmit(ctx, message)
	return receipt, copied, nil
}

// encrypt adds the part for one of the draft's targets. What cannot be encrypted
// is noted in the draft and leaves no trace in the step.
func (i *Installation) encrypt(ctx context.Context, s *step, c *contact, draft *deviceactor.Draft, n int, own sessionactor.Entry, now int64) {
	target := &draft.Targets[n]
	part, change, err := func() (wire.Part, sessionactor.Change, error) {
		sessions, err := i.sessions(ctx, c, target.ID)
		if err != nil {
			return wire.Part{}, sessionactor.Change{}, err
		}
		out := sessionactor.Outgoing{Payload: draft.Payload, Entry: target.Entry, Own: own}
		next, change, part, err := sessions.Send(i.config.Key, i.place(c, target.ID).Ends, out, now, i.config.Random)
		if err != nil {
			return part, change, err
		}
		i.takeSessions(s, c, target.ID, sessions, next, change)
		return part, change, nil
	}()
	draft.Encrypted(n, part, change.Started, err)
}

// noteCopy adds the copy that our own other installations are to get, if there
// are any.
func (i *Installation) noteCopy(ctx context.Context, s *step, to x3dh.IdentityPublicKey, id deviceactor.MessageID, payload []byte) (bool, error) {
	own, err := i.contact(ctx, i.config.View.Own)
	if err != nil || !own.AnyEnabled() {
		return false, err
	}
	c := deviceactor.Copy{Recipient: to, ID: id, Payload: payload}
	record, err := c.Record(i.owner)
	if err != nil {
		return false, err
	}
	s.records = append(s.records, record)
	return true, nil
}

// makeCopy sends a copy that was noted. If nobody can be given one that is told
// and the copy dropped.
func (i *Installation) makeCopy(ctx context.Context, id deviceactor.MessageID, now int64) error {
	name := deviceactor.CopyName(i.owner, id)
	value, err := i.config.Store.Get(ctx, name)
	if err != nil {
		return unavailable(err)
	}
	_, _, err = i.send(ctx, i.config.View.Own, value, &id, now)
	if !errors.Is(err, deviceactor.ErrNoTarget) || deviceactor.Unhandled(err) {
		return err
	}
	return i.commit(ctx, &step{
		records: []persistence.Record{{Name: name, Delete: true}},
		events: []deviceactor.Event{deviceactor.Alarm{
			Identity: i.config.View.Own,
			Err:      fmt.Errorf("%w: %w", deviceactor.ErrCopyLost, err),
		}},
	})
}

// transmit publishes a message that is durable, and takes it out of the outbox.
func (i *Installation) transmit(ctx context.Context, o deviceactor.Outgoing) error {
	i.publish(transport.PersonalTopic(o.Recipient), o.Message)
	name := deviceactor.OutboxName(i.owner, o.Recipient, o.ID)
	return i.commit(ctx, &step{records: []persistence.Record{{Name: name, Delete: true}}})
}

func (i *Installation) publish(topic transport.Topic, message []byte) {
	i.config.Publish(transport.Envelope{Topic: topic, Sender: i.config.View.Own, Payload: message})
}
