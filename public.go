package rookery

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

const maxChat = 100

func checkChat(chat string) error {
	if chat == "" || len(chat) > maxChat || !utf8.ValidString(chat) {
		return fmt.Errorf("%w: %d bytes", ErrChat, len(chat))
	}
	return nil
}

// Join listens to a public chat until Leave or Close; its messages come as
// PublicMessage. It waits for nothing, so it takes no context: the network is asked
// later. It has to be called again after Open.
func (i *Identity) Join(chat string) error {
	if err := checkChat(chat); err != nil {
		return err
	}
	if i.Retired() {
		return ErrRetired
	}
	return i.listen(transport.PublicTopic(chat), func(e transport.Envelope, done func(error)) {
		i.receive(e, chat, done)
	})
}

// Leave ends Join.
func (i *Identity) Leave(chat string) { i.unlisten(transport.PublicTopic(chat)) }

// SendPublic publishes a payload in a public chat, not encrypted, with our
// bundle, so that those who read it can start sessions with us. It returns when
// the transport has taken the message; nothing is kept of it before or after.
func (i *Identity) SendPublic(ctx context.Context, chat string, payload []byte) error {
	if err := checkChat(chat); err != nil {
		return err
	}
	if len(payload) == 0 || len(payload) > MaxPayload {
		return fmt.Errorf("%w: %d bytes", ErrPayloadSize, len(payload))
	}
	p, err := i.published(ctx)
	if err != nil {
		return err
	}
	message := wire.Message{
		InstallationID: i.installation,
		Bundles:        []wire.Bundle{p.Bundle},
		Public:         payload,
		HasPublic:      true,
	}
	accepted := make(chan error, 1)
	i.engine.options.Transport.Publish(transport.Envelope{
		Topic:   transport.PublicTopic(chat),
		Sender:  i.public,
		Payload: message.Encode(),
	}, func(err error) { accepted <- err })
	select {
	case err := <-accepted:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Follow takes the bundles that a contact publishes as its contact code, until
// Close: the way to a first session with somebody whose bundle is not at hand.
// InstallationDiscovered tells when there is one. Like Join it waits for nothing. It
// has to be called again after Open. (5/SECURE-TRANSPORT, Bundle retrieval)
func (i *Identity) Follow(contact PublicKey) error {
	if i.Retired() {
		return ErrRetired
	}
	return i.follow(contact, nil)
}

// receiveCode takes the sender's bundle of a contact code, and nothing else.
func (i *Identity) receiveCode(e transport.Envelope, done func(error)) {
	m, ok := i.open(e, done)
	if !ok {
		return
	}
	if e.Sender == i.public && m.InstallationID == i.installation {
		done(nil) // everybody who listens to a topic hears himself
		return
	}
	for _, b := range m.Bundles {
		if PublicKey(b.Identity) == e.Sender {
			i.hand(e.Sender, done, func(reply actors.Reply[struct{}]) any {
				return deviceactor.TakeBundle{Reply: reply, Bundle: b, Sender: m.InstallationID}
			})
			return
		}
	}
	done(nil)
}
