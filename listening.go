package rookery

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// listener is a topic that is listened to.
type listener struct {
	topic  transport.Topic
	cancel func() // nil while it begins
	number uint32 // of all that the identity has begun to listen to, by which it is told apart
}

// subscribe has the transport host the identity, and listens on its own topics: for
// messages, and for the contact codes of its other installations, which is how they
// are discovered.
func (i *Identity) subscribe(with *cohort) error {
	leave, err := i.engine.options.Transport.Host(i.key)
	if err != nil {
		return err
	}
	i.mu.Lock()
	i.leave = leave
	if i.listening == nil { // else somebody was faster
		i.listening = with.listening()
	}
	i.mu.Unlock()
	err = i.listen(with.topic(transport.PersonalTopic(i.public)), func(e transport.Envelope, done func(error)) {
		i.receive(e, "", done)
	})
	if err != nil || i.Retired() {
		return err
	}
	return i.follow(i.public, with)
}

// follow listens for the contact codes of somebody.
func (i *Identity) follow(contact PublicKey, with *cohort) error {
	return i.listen(with.topic(transport.ContactCodeTopic(contact)), func(e transport.Envelope, done func(error)) {
		if e.Sender != contact {
			done(nil) // anybody can publish on a topic
			return
		}
		i.receiveCode(e, done)
	})
}

// listen subscribes to a topic unless that was done. The lock is not held while
// the transport does: it may deliver at once.
func (i *Identity) listen(topic transport.Topic, deliver transport.Deliver) error {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return cmp.Or(i.accepting(), ErrClosed)
	}
	at, listens := i.listens(topic)
	if listens {
		i.mu.Unlock()
		return nil
	}
	i.began++
	mine := i.began
	i.listening = slices.Insert(i.listening, at, listener{topic: topic, number: mine})
	i.mu.Unlock()

	cancel, err := i.engine.options.Transport.Subscribe(topic, deliver)

	i.mu.Lock()
	at, wanted := i.listens(topic)
	wanted = wanted && i.listening[at].number == mine
	switch {
	case wanted && err == nil:
		i.listening[at].cancel, cancel = cancel, nil
	case wanted:
		i.stopListening(topic)
	}
	closed := i.closed
	i.mu.Unlock()
	if err == nil && cancel != nil {
		cancel() // nobody listens any more, or another who came later does
	}
	if err == nil && closed {
		return cmp.Or(i.accepting(), ErrClosed)
	}
	return err
}

// listens gives the place of a topic among those that are listened to, which are in
// order, and whether it is there. i.mu is held.
func (i *Identity) listens(topic transport.Topic) (at int, there bool) {
	return slices.BinarySearchFunc(i.listening, topic, func(l listener, t transport.Topic) int { return cmp.Compare(l.topic, t) })
}

// stopListening takes a topic out and gives what ends it, if there is something to end.
// i.mu is held.
func (i *Identity) stopListening(topic transport.Topic) (cancel func()) {
	at, there := i.listens(topic)
	if !there {
		return nil
	}
	cancel = i.listening[at].cancel
	i.listening = slices.Delete(i.listening, at, at+1)
	return cancel
}

func (i *Identity) unlisten(topic transport.Topic) {
	i.mu.Lock()
	cancel := i.stopListening(topic)
	i.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (i *Identity) unsubscribe() {
	i.mu.Lock()
	i.closed = true
	listening := i.listening
	i.listening = nil
	i.mu.Unlock()
	for _, l := range listening {
		if l.cancel != nil {
			l.cancel()
		}
	}
	clear(listening) // its room may stay, beside that of others
}

// left ends that the transport hosts us: it does not use the key any more.
func (i *Identity) left() {
	i.mu.Lock()
	leave := i.leave
	i.leave = nil
	i.mu.Unlock()
	if leave != nil {
		leave()
	}
}

// receive takes one envelope from the transport: decoded here, on the
// transport's goroutine, and then given to the contact.
func (i *Identity) receive(e transport.Envelope, chat string, done func(error)) {
	since := i.engine.measures.received.now()
	m, ok := i.open(e, done)
	if !ok {
		return
	}
	i.hand(e.Sender, done, func(reply actors.Reply[struct{}]) any {
		return deviceactor.Receive{Reply: reply, Message: m, Chat: chat, Encoded: e.Payload, Since: since}
	})
}

// open decodes an envelope, if there is room for what it holds.
func (i *Identity) open(e transport.Envelope, done func(error)) (*wire.Message, bool) {
	if err := i.accepting(); err != nil {
		done(err)
		return nil, false
	}
	if i.unhandled.Load() > int64(i.engine.options.MaxUnhandled) || i.unhandledBytes.Load() > i.engine.options.MaxUnhandledBytes {
		i.engine.measures.overloads[limitEvents].Add(1)
		done(actors.ErrOverloaded)
		return nil, false
	}
	m, err := i.engine.decode(e)
	if err != nil {
		i.engine.counters.Refused.Add(causeOfEnvelope(err))
		i.handle(Refused{Identity: i, Sender: e.Sender, Err: err})
		done(nil)
		return nil, false
	}
	return m, true
}

// hand gives what an envelope holds to the contact. The envelope is dealt with
// when that is durable or refused; when it could not be handled it stays with
// the transport.
func (i *Identity) hand(sender PublicKey, done func(error), build func(actors.Reply[struct{}]) any) {
	m := &handed{done: done}
	if err := i.admit(sender, &m.admitted); err != nil {
		i.engine.measures.overloaded(err)
		done(err)
		return
	}
	i.actor.Tell(toContact{sender, build(actors.ReplyFunc(m.answered))})
}

// handed is an envelope that a contact deals with.
type handed struct {
	admitted
	done func(error)
}

func (m *handed) answered(_ struct{}, err error) {
	m.release()
	if !deviceactor.Unhandled(err) {
		err = nil
	}
	if err != nil {
		m.identity.engine.measures.overloaded(err)
	}
	m.done(err)
}

func (e *Engine) decode(envelope transport.Envelope) (*wire.Message, error) {
	if err := e.senders.check(&envelope.Sender); err != nil {
		return nil, err
	}
	m, err := wire.Decode(envelope.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cause.ErrMalformed, err)
	}
	return m, nil
}
