package faults

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
)

// patience is how long anything may take. Nothing takes a hundredth of it, but for
// what a sweep has to try again, on a machine that has other things to do.
const patience = 2 * time.Minute

// home is the directory of the store on its disk.
const home = "store"

var (
	// errDown: the store has failed, so that what is waited for cannot come.
	errDown = errors.New("the store is down")
	// errVain: what the wait was meant to show has happened, and what is waited for
	// will not.
	errVain = errors.New("in vain")
)

// world is an engine on a disk with its network and its application.
type world struct {
	disk     vfs.FS
	key      string // path of the key file
	seed     seed
	memTable uint64 // bytes
	ledger   *ledger
	air      *air

	engine *rookery.Engine
	leaks  *leakscan.Scanner // of what is logged
	store  *witness
	lives  int
	tag    string // of all payloads, where a scenario is done once more
	// waiting are the messages that the store held for the application when it
	// was opened last.
	waiting map[persistence.Name]bool
	// begun and sent are how many deliveries and receipts there were by then.
	begun, sent int

	// uncopied are the copies that the store had to make when that was asked last.
	uncopied map[persistence.Name]bool

	book    *leakscan.Book // of what the store is given; nil: not kept
	relieve func()         // does something about a disk that is full
	struck  func() bool    // tells whether the disk has failed
	// vain tells that what is waited for will not come; nil: it always comes.
	vain   func(past) bool
	keep   atomic.Bool // what is reported is not acknowledged
	direct *rookery.Direct

	mu     sync.Mutex
	unread []rookery.Message // not acknowledged
}

func newWorld(on vfs.FS, key string, from past, s seed) *world {
	l := newLedger(from)
	return &world{disk: on, key: key, seed: s, memTable: smallMemTable, ledger: l, air: newAir(l), relieve: func() {}, struck: func() bool { return false }}
}

// seed is what all randomness of one run comes from.
type seed struct {
	number uint64
	run    string
}

// source is a source of keys for one life of an engine: two lives must not draw
// the same ones.
func (s seed) source(life int) io.Reader {
	text := fmt.Appendf(binary.BigEndian.AppendUint64(nil, s.number), "%s life %d", s.run, life)
	return &source{from: rand.NewChaCha8(sha256.Sum256(text))}
}

type source struct {
	mu   sync.Mutex
	from *rand.ChaCha8
}

func (s *source) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from.Read(b)
}

// limited is a context that ends with the patience.
func (w *world) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// open opens the store and the engine on it.
func (w *world) open() error {
	ctx, cancel := w.limited()
	defer cancel()
	w.lives++
	if w.leaks == nil {
		w.leaks = leakscan.New(func(leak string) { w.alarm("%s", leak) })
	}
	random := w.leaks.Random(w.seed.source(w.lives))
	inner, err := openStore(ctx, w.disk, w.key, w.memTable, random, w.now, w.leaks.Logger(nil))
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	w.store = &witness{Store: inner, ledger: w.ledger, book: w.book}
	w.waiting = make(map[persistence.Name]bool)
	inbox := persistence.NewName(persistence.KindInbox)
	err = w.store.Scan(ctx, inbox, func(name persistence.Name, _ []byte) error {
		w.waiting[name] = true
		return nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("read the inbox: %w", err), w.store.Close())
	}
	before := w.ledger.read()
	w.begun, w.sent = len(before.delivered), len(before.receipts)
	w.engine, err = rookery.Open(ctx, rookery.Options{
		Store:     w.leaks.Store(w.store),
		Transport: w.air,
		Handler:   w.handle,
		Logger:    w.leaks.Logger(nil),
		Now:       w.now,
		Random:    random,
		// Several blocks within a scenario.
		DirectBlock: 4,
	})
	if err != nil {
		w.engine = nil
		return fmt.Errorf("open engine: %w", errors.Join(err, w.store.Close()))
	}
	return nil
}

// close ends the engine and its store; closing twice is fine.
func (w *world) close() error {
	if w.engine == nil {
		return nil
	}
	ctx, cancel := w.limited()
	defer cancel()
	if w.direct != nil {
		w.direct.Close()
		w.direct = nil
	}
	err := w.engine.Close(ctx)
	w.engine = nil
	return err
}

func (w *world) now() time.Time { return time.Now().Add(w.ledger.read().ahead) }

// ahead sets the clock, never back.
func (w *world) ahead(d time.Duration) {
	w.ledger.note(func(p *past) { p.ahead = max(p.ahead, d) })
}

// handle is the application.
func (w *world) handle(e rookery.Event) {
	var m rookery.Message
	switch e := e.(type) {
	case rookery.Message:
		m = e
	case rookery.SentElsewhere:
		m = e.Message
	case rookery.Replaced:
		w.alarm("a crash was taken for an older store: %s was replaced", e.Identity.InstallationID())
		return
	case rookery.Alarm:
		if errors.Is(e.Err, deviceactor.ErrCopyLost) {
			text := fmt.Sprintf("%s: %v", e.Identity.InstallationID(), e.Err)
			w.ledger.note(func(p *past) { p.copyLost = append(p.copyLost, text) })
			return
		}
		w.alarm("%s about %s: %v", e.Identity.InstallationID(), e.Installation, e.Err)
		return
	default:
		return
	}
	n := noteOf(m)
	acks := !w.keeps(m)
	w.ledger.note(func(p *past) {
		p.delivered = append(p.delivered, n)
		if acks {
			p.acked = append(p.acked, n)
		}
	})
	if acks {
		m.Ack()
	}
}

// keeps notes a message that is not to be acknowledged now, if it is not.
func (w *world) keeps(m rookery.Message) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	keep := w.keep.Load()
	if keep {
		w.unread = append(w.unread, m)
	}
	return keep
}

// readAll acknowledges what was reported and kept, and lets all that is reported
// from now on be acknowledged at once: no message is between the two.
func (w *world) readAll() {
	w.mu.Lock()
	w.keep.Store(false)
	unread := w.unread
	w.unread = nil
	w.mu.Unlock()
	for _, m := range unread {
		w.ledger.note(func(p *past) { p.acked = append(p.acked, noteOf(m)) })
		m.Ack()
	}
}

func (w *world) alarm(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.ledger.note(func(p *past) { p.alarms = append(p.alarms, text) })
}

func noteOf(m rookery.Message) note {
	at := device{m.Identity.PublicKey(), m.Identity.InstallationID()}
	return note{at: at, sender: m.Sender, id: m.ID, payload: string(m.Payload)}
}

// inboxName is the record of a message that waits for its acknowledgement.
func (n note) inboxName() persistence.Name {
	return deviceactor.InboxName(n.at.owner(), n.sender, deviceactor.MessageID(n.id))
}

// until waits until the past is as wanted: deliveries that were refused are made
// again meanwhile, and a store that has failed ends the wait.
func (w *world) until(what string, done func(past) bool) error {
	ctx, cancel := w.limited()
	defer cancel()
	for {
		change := w.ledger.change()
		switch p := w.ledger.read(); {
		case done(p):
			return nil
		case w.vain != nil && w.vain(p):
			return fmt.Errorf("%s: %w", what, errVain)
		}
		select {
		case <-change:
			continue
		case <-ctx.Done():
			p := w.ledger.read()
			messages, copies := p.missing()
			return fmt.Errorf("%s, missing %v, copies %v, unpublished %t: %w", what, messages, copies, p.unpublished(), ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
		if w.store.down() {
			return fmt.Errorf("%s: %w", what, errDown)
		}
		w.relieve()
		w.air.again()
	}
}

// step does a part of a scenario unless it was done before.
func (w *world) step(name string, do func() error) error {
	if slices.Contains(w.ledger.read().steps, name) {
		return nil
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.ledger.note(func(p *past) { p.steps = append(p.steps, name) })
	return nil
}

// at is a hosted installation; errDown where there is none.
func (w *world) at(d device) (*rookery.Identity, error) {
	i, ok := w.engine.Identity(d.key, d.installation)
	if !ok {
		return nil, fmt.Errorf("%s is not hosted", d.installation)
	}
	return i, nil
}

// create hosts an installation unless it is hosted.
func (w *world) create(who person, installation string) error {
	if _, ok := w.engine.Identity(who.public, installation); ok {
		return nil
	}
	ctx, cancel := w.limited()
	defer cancel()
	_, err := w.engine.CreateIdentity(ctx, rookery.NewIdentity{Key: who.secret, InstallationID: installation})
	return err
}

// introduce gives one the bundle of the other.
func (w *world) introduce(one, other device) error {
	ctx, cancel := w.limited()
	defer cancel()
	from, err := w.at(other)
	if err != nil {
		return err
	}
	to, err := w.at(one)
	if err != nil {
		return err
	}
	bundle, err := from.Bundle(ctx)
	if err != nil {
		return err
	}
	return to.TakeBundle(ctx, other.key, bundle)
}

// send sends a message and notes the receipt, once.
func (w *world) send(from device, to rookery.PublicKey, payload string) error {
	payload += w.tag
	return w.step("send "+payload, func() error {
		ctx, cancel := w.limited()
		defer cancel()
		i, err := w.at(from)
		if err != nil {
			return err
		}
		w.leaks.Text([]byte(payload))
		r, err := i.Send(ctx, to, []byte(payload))
		if err != nil {
			return err
		}
		w.ledger.note(func(p *past) {
			p.receipts = append(p.receipts, receipt{from, to, r.ID, payload, r.Installations, p.siblings(from)})
		})
		return nil
	})
}

// carry makes a message directly and publishes it.
func (w *world) carry(from device, to rookery.PublicKey, payload string) error {
	payload += w.tag
	return w.step("carry "+payload, func() error {
		ctx, cancel := w.limited()
		defer cancel()
		if w.direct == nil {
			i, err := w.at(from)
			if err != nil {
				return err
			}
			if w.direct, err = i.Direct(to); err != nil {
				return err
			}
		}
		m, err := w.direct.Encrypt(ctx, []byte(payload))
		if err != nil {
			return err
		}
		e := transport.Envelope{Topic: transport.PersonalTopic(to), Sender: from.key, Payload: m.Message}
		w.air.Publish(e, func(error) {})
		w.ledger.note(func(p *past) {
			p.receipts = append(p.receipts, receipt{from, to, m.ID, payload, m.Installations, nil})
		})
		return nil
	})
}

// arrived waits until everything that has a receipt is there. Copies that an
// earlier life has left are made by a sweep, within seconds: those are not
// waited for.
func (w *world) arrived() error {
	return w.until("messages with a receipt", func(p past) bool {
		messages, copies := p.missing()
		return len(messages) == 0 && !slices.ContainsFunc(copies, func(c promise) bool { return c.number >= w.sent })
	})
}

// copiesArrived waits for all copies that have a receipt, those that an earlier life has
// left included.
func (w *world) copiesArrived() error {
	return w.until("copies with a receipt", func(p past) bool {
		_, copies := p.missing()
		return len(copies) == 0
	})
}

// newEpoch ends an epoch of the store.
func (w *world) newEpoch() error {
	ctx, cancel := w.limited()
	defer cancel()
	return w.store.Rotate(ctx)
}
