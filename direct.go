package rookery

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/deviceactor"
)

const (
	// directBlock is how many message numbers a Direct reserves at a time at
	// most, unless Options.DirectBlock says otherwise.
	directBlock = 128
	// firstDirectBlock is how many it starts with: who sends little skips little.
	firstDirectBlock = 16
	// maxDirectBlock keeps two blocks well under the 1,000 messages that a
	// receiver lets a sender skip.
	maxDirectBlock = 250
)

// Direct makes messages to one contact without waiting for the disk, for who
// takes the ciphertext and carries it: it durably reserves a block of message
// numbers in the session with each of the contact's installations, and encrypts
// inside of it (docs/adr/0016). The next block is reserved when half of one is
// used, four times as large up to Options.DirectBlock. After a crash, or when it is
// closed, what is left of the blocks is never used: receivers see at most twice
// the largest block as lost messages. They let a sender skip 1,000 in all, so one
// Direct for a contact is enough.
//
// A message that is lost on the way is not made again: nothing of it is stored.
// Our own other installations get no copy. Use Identity.Send if in doubt.
//
// Safe for concurrent use.
type Direct struct {
	mu     sync.Mutex
	lease  *deviceactor.Lease // in use; nil: none
	next   *deviceactor.Lease // reserved ahead; nil: none
	asked  *directAnswer      // on its way; nil: nothing
	size   uint32             // of the block that was reserved last
	closed bool
	held   bool // there is a lease, of which the identity knows

	identity *Identity
	block    uint32 // the largest
	contact  PublicKey
}

// directAnswer is the outcome of a reservation, when it is there.
type directAnswer struct {
	there chan struct{}
	err   error
}

func (a *directAnswer) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-a.there:
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// DirectMessage is a message that was made and not published.
type DirectMessage struct {
	// ID is the id that its receivers know it by.
	ID MessageID
	// Message is the encoded ProtocolMessage, for the contact's personal topic
	// (transport.PersonalTopic) in an envelope of our identity. Publishing it
	// several times is harmless.
	Message []byte
	// Installations of the contact it was encrypted for, and those it could not
	// be encrypted for; only to be read.
	Installations []string
	Failed        []deviceactor.InstallationError
	// NoCopy is set if our identity has other installations. They get no copy of
	// this message, unlike of what Send sends.
	NoCopy bool
}

// Direct prepares direct sending to a contact, of which an installation has to be
// known: otherwise its first message gives cause.ErrNoTarget, and its contact code is
// followed from then on. Like sending, that accepts the contact. Nothing is
// reserved before the first message. Close it when it is not needed any more.
func (i *Identity) Direct(contact PublicKey) (*Direct, error) {
	block := i.engine.options.DirectBlock
	if block < 0 || block > maxDirectBlock {
		return nil, fmt.Errorf("%w: a block of %d message numbers, at most %d", ErrOptions, block, maxDirectBlock)
	}
	if err := i.inUse(); err != nil {
		return nil, err
	}
	return &Direct{identity: i, contact: contact, block: uint32(orDefault(block, directBlock))}, nil //nolint:gosec // checked above
}

// directTries is how many leases that end before they are used one message may
// need.
const directTries = 4

// Encrypt makes one message for every installation of the contact that Send
// would send to. It waits only when the block is used up before the next one is
// durable, or when what it rests on has changed. If ctx ends first its error is
// returned and no message was made. Errors are those of Send, ErrClosed
// and cause.ErrLeaseOver.
func (d *Direct) Encrypt(ctx context.Context, payload []byte) (DirectMessage, error) {
	if len(payload) == 0 || len(payload) > MaxPayload {
		return DirectMessage{}, fmt.Errorf("%w: %d bytes", ErrPayloadSize, len(payload))
	}
	for tries := 1; ; {
		m, asked, err := d.try(payload)
		if asked != nil {
			if err = asked.wait(ctx); err == nil {
				continue
			}
		}
		if !errors.Is(err, deviceactor.ErrLeaseOver) || tries == directTries {
			return m, err
		}
		tries++
	}
}

// try makes a message if there is a lease, or tells what to wait for.
func (d *Direct) try(payload []byte) (DirectMessage, *directAnswer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.hold()
	lease, asked, err := d.take()
	if lease == nil {
		return DirectMessage{}, asked, err
	}
	d.identity.actor.Touch()
	id, message, left, err := lease.Encrypt(payload, d.identity.now())
	if err != nil || left == 0 {
		lease.End()
		d.lease = nil
	}
	if err != nil {
		return DirectMessage{}, nil, err
	}
	if left <= d.size/2 && d.next == nil {
		d.ask(min(4*d.size, d.block))
	}
	return DirectMessage{MessageID(id), message, lease.Installations, lease.Failed, lease.NoCopy}, nil, nil
}

// take gives the lease to use, or what to wait for. d.mu is held.
func (d *Direct) take() (*deviceactor.Lease, *directAnswer, error) {
	if d.closed {
		return nil, nil, fmt.Errorf("%w: direct sending", ErrClosed)
	}
	if d.lease == nil {
		d.lease, d.next = d.next, nil
	}
	if d.lease == nil {
		return nil, d.ask(min(firstDirectBlock, d.block)), nil
	}
	return d.lease, nil, nil
}

// ask makes sure that a reservation is on its way. d.mu is held.
func (d *Direct) ask(size uint32) *directAnswer {
	if d.asked != nil {
		return d.asked
	}
	i, asked := d.identity, &directAnswer{there: make(chan struct{})}
	refuse := func(err error) *directAnswer {
		asked.err = err
		close(asked.there)
		return asked
	}
	if err := i.inUse(); err != nil {
		return refuse(err)
	}
	message := new(admitted)
	if err := i.admit(d.contact, message); err != nil {
		i.engine.measures.overloaded(err)
		return refuse(err)
	}
	d.asked = asked
	reply := actors.ReplyFunc(func(lease *deviceactor.Lease, err error) {
		message.release()
		d.answered(asked, lease, size, err)
	})
	// Not from here: who stops refuses at once, on this goroutine, which has the
	// lock.
	go i.actor.Tell(toContact{d.contact, deviceactor.Reserve{Reply: reply, Size: size}})
	return asked
}

// answered takes a lease that was asked for.
func (d *Direct) answered(asked *directAnswer, lease *deviceactor.Lease, size uint32, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.hold()
	d.asked, asked.err = nil, d.identity.outcome(err)
	switch {
	case err != nil:
	case d.closed:
		lease.End()
	default:
		d.next, d.size = lease, size
	}
	close(asked.there)
}

// Close gives up what is left of the blocks and wipes their keys.
func (d *Direct) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.hold()
	d.closed = true
	for _, lease := range []*deviceactor.Lease{d.lease, d.next} {
		if lease != nil {
			lease.End()
		}
	}
	d.lease, d.next = nil, nil
}

// hold keeps the identity in memory while there is a lease, which would end with its
// contact. d.mu is held.
func (d *Direct) hold() {
	if held := d.lease != nil || d.next != nil; held != d.held {
		d.held = held
		if held {
			d.identity.leases.Add(1)
		} else {
			d.identity.leases.Add(-1)
		}
	}
}

// Format implements fmt.Formatter: it is in use while it is printed.
func (d *Direct) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "direct sending of %v to %v", d.identity, d.contact)
}
