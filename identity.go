package rookery

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/account"
	"github.com/rookery-im/rookery/persistence"
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
	key          *x3dh.IdentityKey // by pointer: fmt does not follow it
	public       PublicKey
	installation string
	name         string
	successor    string // "" while the installation is in use
	owner        persistence.OwnerID

	// epoch is what the store lets us write under, 0 as long as the identity is not
	// taken over; checked, that the halves of its key belong together. Both belong to
	// its actor, all incarnations in turn, and before that to who has made it.
	epoch   uint64
	checked bool

	// reported are the received messages that the store still has: true for those
	// that the handler knows of, false for those it is going to be told by itself.
	// None is told twice. It belongs to the inbox, all incarnations in turn.
	reported map[messageKey]bool
	// lingering are those of them that were found in the store (see inbox.look):
	// notGone, or for how many sweeps more they are remembered.
	lingering map[messageKey]int
	// unsure: the store may have messages that the handler does not know of.
	unsure bool
	// crowded: reported has had more than fewReported.
	crowded bool
	// undone are acknowledged messages that a full disk keeps in the store.
	undone []messageKey

	actor actors.Resident
	kept  kept
	activity

	mu        sync.Mutex
	listening []listener
	leave     func() // the transport; nil while it does not host us
	closed    bool   // nothing may be listened to any more
	began     uint32 // how often it was begun to listen to something
	lookUps   sync.WaitGroup

	deleted  atomic.Bool // nothing may be asked of it any more
	deleting atomic.Bool // somebody is at it
}

// init makes a zero Identity one of the engine's.
func (i *Identity) init(e *Engine, key *x3dh.IdentityKey, installation string) {
	i.engine, i.key, i.public, i.installation = e, key, key.Public(), installation
	i.owner = persistence.NewOwnerID(i.public[:], installation)
	e.system.Settle(&i.actor, (*home)(i))
}

// home is the identity as its actor sees it.
type home Identity

// ActorName implements actors.Home.
func (h *home) ActorName() string { return "identity-" + h.owner.String() }

// NewActor implements actors.Home.
func (h *home) NewActor() actors.Actor { return &hosted{identity: (*Identity)(h)} }

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
// message durable and has it published. If ctx ends first its error is returned
// and the message may still be sent.
func (i *Identity) Send(ctx context.Context, to PublicKey, payload []byte) (Receipt, error) {
	r, err := i.send(ctx, to, payload, nil, func() {})
	i.unsentFor(ctx, err)
	return r, err
}

// unsentFor counts why a message was refused, unless the caller has stopped waiting.
func (i *Identity) unsentFor(ctx context.Context, err error) {
	if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
		i.engine.measures.sendRefused(err)
	}
}

// send calls over when nothing is under way any more, which may be after it returns.
func (i *Identity) send(ctx context.Context, to PublicKey, payload []byte, once *deviceactor.Once, over func()) (Receipt, error) {
	since := i.engine.measures.sent.now()
	told := false
	defer func() {
		if !told {
			over()
		}
	}()
	if len(payload) == 0 || len(payload) > MaxPayload {
		return Receipt{}, fmt.Errorf("%w: %d bytes", ErrPayloadSize, len(payload))
	}
	if err := i.inUse(); err != nil {
		return Receipt{}, err
	}
	m := &sending{over: over}
	if err := i.admit(to, &m.admitted); err != nil {
		return Receipt{}, err
	}
	r, err := actors.Ask(ctx, &i.actor, func(reply actors.Reply[deviceactor.Receipt]) any {
		told, m.reply = true, reply
		return toContact{to, deviceactor.Send{
			// The place is given back when the message is dealt with, and the
			// payload is our own: the caller may have stopped waiting by then.
			Reply:   actors.ReplyFunc(m.answered),
			Payload: bytes.Clone(payload),
			Since:   since,
			Once:    once,
		}}
	})
	if !told {
		m.release()
	}
	return receiptOf(r), i.outcome(err)
}

// sending is a message of ours that a contact deals with.
type sending struct {
	admitted
	over  func()
	reply actors.Reply[deviceactor.Receipt]
}

func (m *sending) answered(r deviceactor.Receipt, err error) {
	m.release()
	m.over()
	if err != nil {
		m.reply.Fail(err)
		return
	}
	m.reply.Send(r)
}

func receiptOf(r deviceactor.Receipt) Receipt {
	return Receipt{MessageID(r.ID), r.Installations, r.Failed, r.ForwardSecrecy, r.Started}
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
	if err := i.inUse(); err != nil {
		return bundleactor.Published{}, err
	}
	p, err := actors.Ask(ctx, &i.actor, func(reply actors.Reply[bundleactor.Published]) any {
		return toBundle{bundleactor.GetBundle{Reply: reply}}
	})
	return p, i.outcome(err)
}

// TakeBundle takes a bundle of the contact that came by another way than a
// message. cause.ErrUntrustedBundle if it is not the contact's or not well signed.
func (i *Identity) TakeBundle(ctx context.Context, contact PublicKey, bundle []byte) error {
	b, err := wire.DecodeBundle(bundle)
	if err != nil {
		return fmt.Errorf("%w: %w", cause.ErrMalformed, err)
	}
	return i.askContact(ctx, contact, func(reply actors.Reply[struct{}]) any {
		return deviceactor.TakeBundle{Reply: reply, Bundle: b, ByHand: true}
	})
}

// PublishContactCode publishes our bundle on our contact-code topic, so that
// others find it. The engine does that by itself when the bundle changes and on
// schedule. accepted is called when the transport has taken it or not; one that it has
// taken the engine counts as published.
func (i *Identity) PublishContactCode(ctx context.Context, accepted func(error)) error {
	p, err := i.published(ctx)
	if err != nil {
		return err
	}
	i.publishCode(p, func(err error) {
		if err == nil {
			i.actor.Tell(toBundle{bundleactor.Taken{Bundle: &p.Bundle}})
		}
		accepted(err)
	})
	return nil
}

func (i *Identity) publishCode(p bundleactor.Published, accepted func(error)) {
	message := wire.Message{InstallationID: i.installation, Bundles: []wire.Bundle{p.Bundle}}
	i.publish(transport.Envelope{
		Topic:   transport.ContactCodeTopic(i.public),
		Sender:  i.public,
		Payload: message.Encode(),
	}, accepted)
}

// Approve lets a discovered installation take part: one of our own identity
// gets copies of what we send, and contacts learn of it with our next messages;
// one of a contact is sent to. cause.ErrUnknownInstallation if it was not discovered,
// cause.ErrTooManyInstallations if our identity has as many as it may.
func (i *Identity) Approve(ctx context.Context, contact PublicKey, installation string) error {
	return i.enable(ctx, contact, installation, true)
}

// Disable ends Approve, or says no to an installation that waits for it: it gets
// nothing further, and if it is one of ours it is left out of our bundle. Removing a device takes this on each of
// the others (5/SECURE-TRANSPORT, Pairing).
func (i *Identity) Disable(ctx context.Context, contact PublicKey, installation string) error {
	return i.enable(ctx, contact, installation, false)
}

func (i *Identity) enable(ctx context.Context, contact PublicKey, installation string, enabled bool) error {
	err := i.askContact(ctx, contact, func(reply actors.Reply[struct{}]) any {
		return deviceactor.SetEnabled{Reply: reply, Installation: installation, Enabled: enabled}
	})
	if err != nil || contact != i.public {
		return err
	}
	// The bundle has been told by the contact, before it answered us.
	_, err = i.published(ctx)
	return err
}

// Accept answers the contact's request: its messages are a Message each from
// then on. Nothing is sent; the first message back shows it to the contact, as
// it would accept without this. cause.ErrNoRequest if none waits.
func (i *Identity) Accept(ctx context.Context, contact PublicKey) error {
	return i.askContact(ctx, contact, func(reply actors.Reply[struct{}]) any {
		return deviceactor.Accept{Reply: reply}
	})
}

// Deny forgets the contact with everything of it, unacknowledged messages too.
// Nothing is sent, and nothing of the contact is kept: if it writes again, that
// is a new request. A transport goes on listening on the topic that it shares with
// the contact, who may write nowhere else. cause.ErrNoRequest if nothing is known of it.
func (i *Identity) Deny(ctx context.Context, contact PublicKey) error {
	if contact != i.public {
		i.unlisten(transport.ContactCodeTopic(contact))
	}
	return i.askContact(ctx, contact, func(reply actors.Reply[struct{}]) any {
		return deviceactor.Deny{Reply: reply}
	})
}

// Contact tells what is known of a contact, or of our other installations if
// it is our own identity.
func (i *Identity) Contact(ctx context.Context, contact PublicKey) (deviceactor.Contact, error) {
	if err := i.accepting(); err != nil {
		return deviceactor.Contact{}, err
	}
	c, err := actors.Ask(ctx, &i.actor, func(reply actors.Reply[deviceactor.Contact]) any {
		return toContact{contact, deviceactor.GetContact{Reply: reply}}
	})
	return c, i.outcome(err)
}

func (i *Identity) askContact(ctx context.Context, contact PublicKey, build func(actors.Reply[struct{}]) any) error {
	if err := i.inUse(); err != nil {
		return err
	}
	_, err := actors.Ask(ctx, &i.actor, func(reply actors.Reply[struct{}]) any {
		return toContact{contact, build(reply)}
	})
	return i.outcome(err)
}

// outcome is the answer of the actors as the caller knows it: while they stop
// one after the other, the engine is closed already.
func (i *Identity) outcome(err error) error {
	if closed := i.accepting(); errors.Is(err, actors.ErrStopped) && closed != nil {
		return fmt.Errorf("%w: %w", closed, err)
	}
	return err
}

// conversation is what the messages under way are bounded by.
type conversation struct {
	owner   persistence.OwnerID
	contact PublicKey
}

// AddInstallation hosts another installation of the same identity: a second
// device in this process. It has to be approved like any other.
func (i *Identity) AddInstallation(ctx context.Context) (*Identity, error) {
	scalar, err := i.engine.scalar(i)
	if err != nil {
		return nil, err
	}
	defer clear(scalar)
	return i.engine.CreateIdentity(ctx, NewIdentity{Key: scalar})
}
