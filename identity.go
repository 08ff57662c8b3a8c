package rookery

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/account"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// MaxPayload is the largest payload in bytes: one message to three devices
// still fits a decoder's limit.
const MaxPayload = 1 << 20

// Identity is one hosted installation of an identity.
type Identity struct {
	engine       *Engine
	key          x3dh.IdentityKey
	public       PublicKey
	installation string
	owner        persistence.OwnerID

	wake      sync.Once
	actor     actors.Ref
	unhandled atomic.Int64 // events waiting for the handler

	mu     sync.Mutex
	cancel []func() // subscriptions
}

func (e *Engine) newIdentity(key x3dh.IdentityKey, installation string) *Identity {
	public := key.Public()
	return &Identity{
		engine:       e,
		key:          key,
		public:       public,
		installation: installation,
		owner:        persistence.NewOwnerID(public[:], installation),
	}
}

func (n NewIdentity) key(random io.Reader) (x3dh.IdentityKey, error) {
	switch {
	case n.Key != nil && n.Phrase != "":
		return x3dh.IdentityKey{}, fmt.Errorf("%w: an identity has a key or a phrase", ErrOptions)
	case n.Phrase != "":
		key, err := account.ChatKey(n.Phrase)
		if err != nil {
			return x3dh.IdentityKey{}, err
		}
		defer key.Wipe()
		return x3dh.NewIdentity(key.Bytes())
	case n.Key != nil:
		return x3dh.NewIdentity(n.Key)
	}
	return x3dh.GenerateIdentity(random)
}

// NewPhrase draws a BIP-39 phrase of 12 words for NewIdentity. It is the
// identity: whoever has it can recover the account as a new installation.
func NewPhrase() (string, error) { return account.NewPhrase(rand.Reader) }

func (n NewIdentity) installationID(random io.Reader) (string, error) {
	if n.InstallationID == "" {
		id, err := uuid.NewRandomFromReader(random)
		if err != nil {
			return "", fmt.Errorf("rookery: installation id: %w", err)
		}
		return id.String(), nil
	}
	if !x3dh.ValidInstallationID(n.InstallationID) {
		return "", ErrInstallationID
	}
	return n.InstallationID, nil
}

// PublicKey is the identity.
func (i *Identity) PublicKey() PublicKey { return i.public }

// InstallationID names this installation of it.
func (i *Identity) InstallationID() string { return i.installation }

// Format implements fmt.Formatter without the private key.
func (i *Identity) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "identity %v, installation %s", i.public, i.installation)
}

// Receipt says what became of a payload when its message was durable.
type Receipt struct {
	ID MessageID
	// Installations of the contact it was encrypted for; "none" stands for any
	// device, without forward secrecy.
	Installations []string
	// Failed are installations it could not be encrypted for.
	Failed []deviceactor.InstallationError
	// ForwardSecrecy is false if no installation of the contact is known yet.
	ForwardSecrecy bool
	// Started is how many new sessions the message starts.
	Started int
}

// Send encrypts a payload for every installation of the contact, makes the
// message durable and has it published.
func (i *Identity) Send(ctx context.Context, to PublicKey, payload []byte) (Receipt, error) {
	if len(payload) == 0 || len(payload) > MaxPayload {
		return Receipt{}, fmt.Errorf("%w: %d bytes", ErrPayloadSize, len(payload))
	}
	release, err := i.engine.admission.Acquire(i.admissionKey(to))
	if err != nil {
		return Receipt{}, err
	}
	defer release()
	r, err := actors.Ask(ctx, i.awake(), func(reply actors.Reply[deviceactor.Receipt]) any {
		return toContact{to, deviceactor.Send{Reply: reply, Payload: payload}}
	})
	return Receipt{MessageID(r.ID), r.Installations, r.Failed, r.ForwardSecrecy, r.Started}, err
}

// Bundle gives our signed bundle, encoded, for a QR code or a contact code. Its
// prekeys are durable.
func (i *Identity) Bundle(ctx context.Context) ([]byte, error) {
	p, err := i.published(ctx)
	if err != nil {
		return nil, err
	}
	return wire.EncodeBundle(p.Bundle), nil
}

func (i *Identity) published(ctx context.Context) (bundleactor.Published, error) {
	return actors.Ask(ctx, i.awake(), func(reply actors.Reply[bundleactor.Published]) any {
		return toBundle{bundleactor.GetBundle{Reply: reply}}
	})
}

// TakeBundle takes a bundle of the contact that came by another way than a
// message. ErrUntrustedBundle if it is not the contact's or not well signed.
func (i *Identity) TakeBundle(ctx context.Context, contact PublicKey, bundle []byte) error {
	b, err := wire.DecodeBundle(bundle)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return i.askContact(ctx, contact, func(reply actors.Reply[struct{}]) any {
		return deviceactor.TakeBundle{Reply: reply, Bundle: b}
	})
}

// PublishContactCode publishes our bundle on our contact-code topic, so that
// others find it. accepted is called when the transport has taken it or not.
func (i *Identity) PublishContactCode(ctx context.Context, accepted func(error)) error {
	p, err := i.published(ctx)
	if err != nil {
		return err
	}
	message := wire.Message{InstallationID: i.installation, Bundles: []wire.Bundle{p.Bundle}}
	i.engine.options.Transport.Publish(transport.Envelope{
		Topic:   transport.ContactCodeTopic(i.public),
		Sender:  i.public,
		Payload: message.Encode(),
	}, accepted)
	return nil
}

// Approve lets another installation of our own identity, one that was
// discovered, take part: contacts learn of it with our next messages.
// ErrUnknownInstallation if it was not discovered.
func (i *Identity) Approve(ctx context.Context, installation string) error {
	err := i.askContact(ctx, i.public, func(reply actors.Reply[struct{}]) any {
		return deviceactor.SetEnabled{Reply: reply, Installation: installation, Enabled: true}
	})
	if err != nil {
		return err
	}
	own, err := i.Contact(ctx, i.public)
	if err != nil {
		return err
	}
	_, err = actors.Ask(ctx, i.awake(), func(reply actors.Reply[bundleactor.Published]) any {
		return setSiblings{bundleactor.SetSiblings{Reply: reply, Siblings: siblings(own)}}
	})
	return err
}

// Contact tells what is known of a contact, or of our other installations if
// it is our own identity.
func (i *Identity) Contact(ctx context.Context, contact PublicKey) (deviceactor.Contact, error) {
	return actors.Ask(ctx, i.awake(), func(reply actors.Reply[deviceactor.Contact]) any {
		return toContact{contact, deviceactor.GetContact{Reply: reply}}
	})
}

func (i *Identity) askContact(ctx context.Context, contact PublicKey, build func(actors.Reply[struct{}]) any) error {
	_, err := actors.Ask(ctx, i.awake(), func(reply actors.Reply[struct{}]) any {
		return toContact{contact, build(reply)}
	})
	return err
}

func (i *Identity) admissionKey(contact PublicKey) string {
	return string(i.owner[:]) + string(contact[:])
}

// AddInstallation hosts another installation of the same identity: a second
// device in this process. It has to be approved like any other.
func (i *Identity) AddInstallation(ctx context.Context) (*Identity, error) {
	return i.engine.CreateIdentity(ctx, NewIdentity{Key: i.key.Scalar()})
}

// create makes a new identity durable, with its first prekey, and lets it
// receive.
func (i *Identity) create(ctx context.Context) error {
	value, err := proto.Marshal(&record.Identity{
		IdentityKey:    i.key.Scalar(),
		InstallationId: i.installation,
		Created:        i.engine.options.Now().UnixNano(),
	})
	if err != nil {
		return fmt.Errorf("rookery: encode identity: %w", err)
	}
	name := persistence.NewName(persistence.KindIdentity, i.owner[:])
	batch := persistence.Batch{Records: []persistence.Record{{Name: name, Value: value}}}
	if err := i.engine.store.Apply(ctx, batch); err != nil {
		return err
	}
	if _, err := i.published(ctx); err != nil {
		return err
	}
	return i.subscribe()
}

// subscribe listens on the topics of the identity.
func (i *Identity) subscribe() error {
	cancel, err := i.engine.options.Transport.Subscribe(transport.PersonalTopic(i.public), i.receive)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancel = append(i.cancel, cancel)
	return nil
}

func (i *Identity) unsubscribe() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, cancel := range i.cancel {
		cancel()
	}
	i.cancel = nil
}

// receive takes one envelope from the transport: decoded here, on the
// transport's goroutine, and then given to the contact. The envelope is dealt
// with when its message is durable or refused; when it could not be handled it
// stays with the transport.
func (i *Identity) receive(e transport.Envelope, done func(error)) {
	if i.unhandled.Load() > int64(i.engine.options.MaxUnhandled) {
		done(ErrOverloaded)
		return
	}
	m, err := wire.Decode(e.Payload)
	if err != nil {
		i.handle(Refused{Identity: i, Sender: e.Sender, Err: fmt.Errorf("%w: %w", ErrMalformed, err)})
		done(nil)
		return
	}
	release, err := i.engine.admission.Acquire(i.admissionKey(e.Sender))
	if err != nil {
		done(err)
		return
	}
	i.awake().Tell(toContact{e.Sender, deviceactor.Receive{
		Reply: actors.ReplyFunc(func(_ struct{}, err error) {
			release()
			if deviceactor.Unhandled(err) {
				done(err)
			} else {
				done(nil)
			}
		}),
		Message: m,
		Hash:    sha256.Sum256(e.Payload),
	}})
}
