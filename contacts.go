package rookery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// askAgain is how long to wait before a contact is asked again that was leaving
// memory.
const askAgain = 50 * time.Millisecond

// errEnough ends a scan whose caller wants no more.
var errEnough = errors.New("rookery: enough")

// Contacts gives what is known of each contact, in the order of their keys, as it
// is when it is its turn: those that wait for an answer, that only have published
// their bundle, or that are blocked too. Our own identity is not among them. An
// error is the last it gives. The loop must not close the engine.
func (i *Identity) Contacts(ctx context.Context) iter.Seq2[deviceactor.Contact, error] {
	return func(yield func(deviceactor.Contact, error) bool) {
		err := i.accepting()
		if err == nil {
			err = i.contacts(ctx, func(c deviceactor.Contact) bool { return yield(c, nil) })
		}
		if err != nil {
			yield(deviceactor.Contact{}, err)
		}
	}
}

// contacts calls each until it gives false.
func (i *Identity) contacts(ctx context.Context, each func(deviceactor.Contact) bool) error {
	store := i.engine.committer
	err := store.Scan(ctx, persistence.NewName(persistence.KindContact, i.owner[:]), func(name persistence.Name, _ []byte) error {
		parts, err := name.Parts()
		if err != nil || len(parts) != 2 || len(parts[1]) != x3dh.PublicKeySize {
			return fmt.Errorf("rookery: %v: %w: not named after a contact", name, persistence.ErrCorrupt)
		}
		c, err := deviceactor.LoadContact(ctx, store, i.owner, PublicKey(parts[1]))
		switch {
		case err != nil:
			return err
		case c.FirstSeen == 0 || c.Identity == i.public: // it was forgotten meanwhile
			return nil
		case !each(c):
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// Explain tells how it stands with a contact: its sessions, without anything secret,
// what waits, and what the next message would do. It reads records, and wakes nobody.
// cause.ErrOwnIdentity of our own identity.
func (i *Identity) Explain(ctx context.Context, contact PublicKey) (deviceactor.Explanation, error) {
	if contact == i.public {
		return deviceactor.Explanation{}, deviceactor.ErrOwnIdentity
	}
	if err := i.accepting(); err != nil {
		return deviceactor.Explanation{}, err
	}
	x, err := deviceactor.Explain(ctx, i.engine.committer, i.owner, i.view(), contact, i.now())
	return x, i.outcome(err)
}

// Waiting tells how many other installations of our identity wait for Approve or
// Disable. It reads records, and wakes nobody.
func (i *Identity) Waiting(ctx context.Context) (int, error) {
	if err := i.accepting(); err != nil {
		return 0, err
	}
	own, err := deviceactor.LoadContact(ctx, i.engine.committer, i.owner, i.public)
	n := 0
	for at := range own.Installations {
		if own.Installations[at].Waits() {
			n++
		}
	}
	return n, i.outcome(err)
}

// AddContact accepts a contact of which nothing more than its key is at hand, ahead
// of its first message, and follows its contact code, see Follow. With a bundle at
// hand use TakeBundle or TakeContactCode, which accept it too. ErrPublicKey,
// cause.ErrBlocked; cause.ErrOwnIdentity of our own.
func (i *Identity) AddContact(ctx context.Context, contact PublicKey) error {
	if contact == i.public {
		return deviceactor.ErrOwnIdentity
	}
	if _, err := x3dh.ParseIdentity(contact[:]); err != nil {
		return err
	}
	err := i.askContact(ctx, contact, func(reply actors.Reply[struct{}]) any {
		return deviceactor.Accept{Reply: reply, Unasked: true}
	})
	if err != nil {
		return err
	}
	return i.Follow(contact)
}

// Block refuses everything of a contact, known or not, from then on: its messages,
// in public chats too, are Refused events with cause.ErrBlocked before anything is
// computed, its bundles are not taken, and sending to it gives cause.ErrBlocked. It is
// durable when Block returns. What was received before stays in the inbox, and what
// was sent before goes out. Nothing is sent: the contact does not learn of it, and
// neither do our other installations. cause.ErrOwnIdentity of our own identity.
func (i *Identity) Block(ctx context.Context, contact PublicKey) error {
	if contact != i.public {
		i.unlisten(transport.ContactCodeTopic(contact))
	}
	return i.setBlocked(ctx, contact, true)
}

// Unblock ends Block: the contact is what it was before, except that Follow ended
// with Block. What is sent to it looks its contact code up when that is needed.
func (i *Identity) Unblock(ctx context.Context, contact PublicKey) error {
	return i.setBlocked(ctx, contact, false)
}

func (i *Identity) setBlocked(ctx context.Context, contact PublicKey, blocked bool) error {
	return i.askContact(ctx, contact, func(reply actors.Reply[struct{}]) any {
		return deviceactor.SetBlocked{Reply: reply, Blocked: blocked}
	})
}

// AwaitTaken waits until the transport has taken a message that Send has made
// durable, with the id of its receipt, or until ctx ends: the message waits in the
// store then, and is published again until it is taken, also after the next Open.
// cause.ErrWithdrawn if the contact was denied meanwhile. cause.ErrUnsent of a message that
// was given up (Unsent); when it is dropped that is remembered for Options.KeepReceipts,
// and after that nobody knows: then the answer is nil, as of every message that does not
// wait.
func (i *Identity) AwaitTaken(ctx context.Context, contact PublicKey, id MessageID) error {
	for {
		err := i.askContact(ctx, contact, func(reply actors.Reply[struct{}]) any {
			return deviceactor.AwaitTaken{Reply: reply, ID: deviceactor.MessageID(id)}
		})
		if !errors.Is(err, actors.ErrStopped) || i.accepting() != nil {
			return err
		}
		// The contact has left memory; the identity wakes it, or we do.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askAgain):
		}
	}
}
