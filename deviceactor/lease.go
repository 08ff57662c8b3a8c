package deviceactor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
	"unique"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrLeaseOver: a lease is used up or too old, or has ended since something that
// it rests on has changed. Another one has to be asked for.
var ErrLeaseOver = errors.New("deviceactor: lease is over")

// leaseLife is how long a lease is good at most (ns): what a contact notices
// only by the passing of time, such as a stale installation, it follows then.
const leaseLife = int64(time.Hour)

// Lease is the right to make the next messages for a contact without asking it
// again: for each installation that a message would go to a block of message
// numbers that its session has moved past durably (docs/adr/0016). It lives in
// memory only. Encrypt, Left and End are safe for concurrent use.
type Lease struct {
	// First all that each message needs, close together: with many leases in use
	// fetching it from memory is much of what a message costs.
	mu           sync.Mutex
	over         bool
	note         bool  // to our own other installations
	since, until int64 // ns, readings of the clock
	blocks       []*ratchet.Block
	only         [1]*ratchet.Block // room for blocks if there is one
	form         *wire.Form
	start        unique.Handle[string] // of each message: all before its entries
	idStart      unique.Handle[string] // of what a message id is the hash of: the same
	random       io.Reader

	// Installations are those that messages are encrypted for.
	Installations []string
	// Failed are installations that they cannot be encrypted for.
	Failed []InstallationError
	// NoCopy is set if our identity has other installations: what is sent
	// directly is not copied to them.
	NoCopy bool

	peer    x3dh.IdentityPublicKey
	targets []Installation
	parts   []wire.Entry
	errs    []error
	bundle  wire.Bundle
}

// Lease picks the installations that the messages of a lease will go to, as Draft
// does. ErrNoTarget if there are none: what is not encrypted in a session is not
// sent directly. siblings tells whether other installations of ours are to get
// copies of what is sent.
func (c *Contact) Lease(v View, bundle bundleactor.Published, siblings bool, random io.Reader, now int64) (*Lease, error) {
	d, err := c.Draft(v, nil, now)
	if err == nil && len(d.Targets) == 0 {
		err = ErrNoTarget
	}
	if err != nil {
		return nil, err
	}
	until := now + leaseLife
	if until < now { // more than fits
		until = bundle.Until
	}
	return &Lease{
		NoCopy:  siblings && !c.own(v),
		peer:    c.Identity,
		targets: d.Targets,
		parts:   d.parts,
		errs:    make([]error, len(d.Targets)),
		blocks:  make([]*ratchet.Block, len(d.Targets)),
		bundle:  bundle.Bundle,
		random:  random,
		note:    c.own(v),
		since:   bundle.Since,
		until:   min(until, bundle.Until),
	}, nil
}

// Targets are the installations to reserve numbers for.
func (l *Lease) Targets() []Installation { return l.targets }

// Reserved notes the reservation for one of the targets, or why there is none.
func (l *Lease) Reserved(target int, r sessionactor.Reservation, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts[target].Part, l.errs[target], l.blocks[target] = r.Part, err, r.Block
	if l.over && err == nil {
		r.Block.Wipe()
	}
}

// Grant is the step of giving out a lease whose reservations are all noted: like
// sending, it accepts the contact. An error means that there is no reservation.
func (c Contact) Grant(v View, l *Lease, now int64) (Contact, Effects, error) {
	if err := c.open(); err != nil {
		return c, Effects{}, err // it was blocked meanwhile
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	message := wire.Message{InstallationID: v.Installation, Bundles: []wire.Bundle{l.bundle}}
	blocks := l.only[:0]
	for i := range l.parts {
		if l.errs[i] != nil {
			l.Failed = append(l.Failed, InstallationError{l.parts[i].Recipient, l.errs[i]})
			continue
		}
		message.Entries = append(message.Entries, l.parts[i])
		l.Installations = append(l.Installations, l.parts[i].Recipient)
		blocks = append(blocks, l.blocks[i])
	}
	if len(message.Entries) == 0 {
		return c, Effects{}, fmt.Errorf("%w: %w", ErrNoTarget, errors.Join(l.errs...))
	}
	l.blocks, l.form = blocks, wire.NewForm(&message)
	// The leases of all contacts share these.
	l.start = unique.Make(string(slices.Concat(l.form.Head(), l.form.Bundles())))
	l.idStart = unique.Make(string(append(appendIDStart(nil, v.Own, ""), l.form.Head()...)))
	next, e := c.Accept(now)
	return next, e, nil
}

// Encrypt makes the next message, with the id that its receivers will know it
// by, and says how many are left. now is in ns. The caller carries the message,
// in any number of envelopes. ErrLeaseOver when another lease is needed; it is
// after any other error too.
func (l *Lease) Encrypt(payload []byte, now int64) (id MessageID, message []byte, left uint32, err error) {
	if l.note {
		c := Copy{Recipient: l.peer, Payload: payload}
		if payload, err = c.encode(); err != nil {
			return id, nil, 0, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	left = l.left()
	if left == 0 || now < l.since || now >= l.until {
		l.end()
		return id, nil, 0, ErrLeaseOver
	}
	size, start, idStart := len(payload)+ratchet.Overhead, l.start.Value(), l.idStart.Value()
	room := rooms.Get().(*[]byte)
	work := append((*room)[:0], idStart...)
	for i, b := range l.blocks {
		work = l.form.AppendEntry(work, i, b.Header().N, size)
		if work, err = b.AppendEncrypt(work, payload, nil, ratchet.RandomIV, l.random); err != nil {
			l.end() // some of the blocks are one message ahead of the others now
			return id, nil, 0, err
		}
	}
	message = make([]byte, 0, len(start)+len(work)-len(idStart))
	message = append(append(message, start...), work[len(idStart):]...)
	id = sha256.Sum256(work)
	leave(room, work)
	return id, message, left - 1, nil
}

// rooms are where messages are made and hashed: few that stay in the processor's
// cache, not one for each lease. They hold what is on the wire, and no key.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// maxRoom is how large a room is that is kept, in bytes.
const maxRoom = 64 << 10

// leave gives a room back with what was made in it, unless that has grown too large.
func leave(room *[]byte, work []byte) {
	if cap(work) <= maxRoom {
		*room = work
		rooms.Put(room)
	}
}

// Left is how many messages can still be made.
func (l *Lease) Left() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left()
}

func (l *Lease) left() uint32 {
	if l.over || l.form == nil {
		return 0
	}
	left := l.blocks[0].Left()
	for _, b := range l.blocks {
		left = min(left, b.Left())
	}
	return left
}

// spent tells whether a lease is over or used up.
func (l *Lease) spent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over || l.form != nil && l.left() == 0
}

// End gives the lease up and wipes its keys: no message is made after it
// returns.
func (l *Lease) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
}

func (l *Lease) end() {
	l.over = true
	for _, b := range l.blocks {
		if b != nil { // not reserved yet, or cannot be
			b.Wipe()
		}
	}
}

// Format implements fmt.Formatter: it is in use while it is printed.
func (l *Lease) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "lease to send to %v, %d messages left", l.peer, l.Left())
}

// Leases are those that a contact has given out or is about to. The zero value
// is none. For one goroutine at a time.
type Leases struct{ given []*Lease }

// Add notes a lease, and drops those that are over.
func (s *Leases) Add(l *Lease) {
	s.given = append(slices.DeleteFunc(s.given, (*Lease).spent), l)
}

// End gives up all of them.
func (s *Leases) End() { s.keep(func(*Lease) bool { return false }) }

// Follow gives up those that do not go to the same installations, with the same
// prekeys, as a message would now: all of them, if the contact is blocked.
func (s *Leases) Follow(c *Contact, v View, now int64) {
	targets := c.Targets(v, now)
	s.keep(func(l *Lease) bool {
		return !c.Blocked && slices.EqualFunc(l.targets, targets, func(a, b Installation) bool {
			return a.ID == b.ID && a.Entry.PreKey == b.Entry.PreKey
		})
	})
}

// Changed gives up all of them if another session may be in use than before,
// except the one for which it was changed.
func (s *Leases) Changed(list []sessionactor.Transition, except *Lease) {
	for _, t := range list {
		if t.To != sessionactor.BecameEstablished {
			s.keep(func(l *Lease) bool { return l == except })
			return
		}
	}
}

// Any tells whether there may be some in use.
func (s *Leases) Any() bool { return len(s.given) > 0 }

func (s *Leases) keep(stays func(*Lease) bool) {
	s.given = slices.DeleteFunc(s.given, func(l *Lease) bool {
		if stays(l) {
			return false
		}
		l.End()
		return true
	})
}
