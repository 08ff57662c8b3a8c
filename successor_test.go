package rookery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// goneBack is a store that says it has gone back to an older state.
type goneBack struct {
	lasting
	number  uint64
	pending bool
	broken  bool // its writes fail
}

func (g *goneBack) Recovery() (uint64, bool) { return g.number, g.pending }

func (g *goneBack) Recovered(context.Context) error {
	g.pending = false
	return nil
}

var errBroken = errors.New("disk is broken")

func (g *goneBack) Apply(ctx context.Context, batch persistence.Batch) error {
	if g.broken {
		return errBroken
	}
	return g.lasting.Apply(ctx, batch)
}

// history is alice on a store of her own, which can be put back to what it was
// when she had sent three messages of eight, and bob elsewhere.
type history struct {
	theirs     *world
	alice, bob device
	older      *goneBack
}

func newHistory(t *testing.T) *history {
	h := &history{theirs: newWorld(t, backends[1])}
	store := &journal{lasting: lasting{memstore.New()}}
	first := newWorld(t, on(store), func(o *rookery.Options) { o.Transport = h.theirs.air })
	h.alice, h.bob = first.person(1)[0], h.theirs.person(1)[0]
	first.introduce(first.at(h.alice), h.theirs.at(h.bob))
	turn := func(n int) {
		first.send(h.alice, h.bob.key, fmt.Sprint("from alice ", n))
		h.theirs.awaitMessages(n, h.bob)
		h.theirs.send(h.bob, h.alice.key, fmt.Sprint("from bob ", n))
		first.awaitMessages(n, h.alice)
	}
	for n := 1; n <= 3; n++ {
		turn(n)
	}
	first.engine.Sweep(first.now())
	first.close()
	moment := store.moment()
	first.open()
	for n := 4; n <= 8; n++ {
		turn(n)
	}
	first.close()
	h.older = &goneBack{lasting: lasting{store.image(t, moment)}, number: 1, pending: true}
	first.open() // for its clean-up; nobody sends from it any more
	h.theirs.air.setRule(nil)
	return h
}

// again opens an engine on the older state.
func (h *history) again(t *testing.T) *world {
	return newWorld(t, on(h.older), func(o *rookery.Options) { o.Transport = h.theirs.air })
}

// T06: of a store that has gone back no installation ever encrypts again. Its
// successor knows the contacts and makes new sessions; both can be written to.
// That no message key is used twice, the network checks.
func TestStoreThatWentBackSendsThroughSuccessors(t *testing.T) {
	h := newHistory(t)
	w := h.again(t)
	old := w.at(h.alice)
	if e := awaitThese[rookery.Replaced](w, 1, h.alice); e.Identity != old {
		t.Error("it is reported of another identity")
	}
	next, ok := old.Successor()
	if !ok || next == old || next.Retired() || next.PublicKey() != h.alice.key || !old.Retired() {
		t.Fatalf("successor %v, %v", next, ok)
	}
	if _, ok := next.Successor(); ok {
		t.Error("a successor in use has a successor")
	}
	ctx := w.context()
	for name, refused := range map[string]func() error{
		"Send":               func() error { _, err := old.Send(ctx, h.bob.key, []byte("x")); return err },
		"SendPublic":         func() error { return old.SendPublic(ctx, "chat", []byte("x")) },
		"Bundle":             func() error { _, err := old.Bundle(ctx); return err },
		"PublishContactCode": func() error { return old.PublishContactCode(ctx, func(error) {}) },
		"Approve":            func() error { return old.Approve(ctx, h.bob.key, h.bob.installation) },
		"Join":               func() error { return old.Join("chat") },
		"Follow":             func() error { return old.Follow(h.bob.key) },
	} {
		if err := refused(); !errors.Is(err, rookery.ErrRetired) {
			t.Errorf("%s of a retired installation: %v", name, err)
		}
	}

	receipt, err := next.Send(ctx, h.bob.key, []byte("from the successor"))
	if err != nil || !receipt.ForwardSecrecy || receipt.Started != 1 {
		t.Fatalf("receipt %+v, %v", receipt, err)
	}
	h.theirs.awaitMessages(9, h.bob)
	h.theirs.send(h.bob, h.alice.key, "to both")
	w.awaitMessages(1, device{h.alice.key, next.InstallationID()})
	w.sweep() // prekeys, publications and remedies of either
	for _, e := range h.theirs.air.everything() {
		if e.Sender == h.alice.key && e.Topic == transport.PersonalTopic(h.bob.key) && isAdvertisement(e) {
			t.Error("a retired installation asks for new sessions")
		}
	}

	w.reopen()
	if len(w.engine.Identities()) != 2 {
		t.Errorf("%d installations after the next open", len(w.engine.Identities()))
	}
	if got := these[rookery.Replaced](w.bag.all(), h.alice); len(got) != 1 {
		t.Errorf("reported %d times", len(got))
	}
}

// What was still under way to the old installation when the older state was the
// present one is read.
func TestRetiredInstallationReadsWhatIsStillUnderWay(t *testing.T) {
	theirs := newWorld(t, backends[1])
	store := &journal{lasting: lasting{memstore.New()}}
	first := newWorld(t, on(store), func(o *rookery.Options) { o.Transport = theirs.air })
	alice, bob := first.person(1)[0], theirs.person(1)[0]
	first.introduce(first.at(alice), theirs.at(bob))
	first.send(alice, bob.key, "hello")
	theirs.awaitMessages(1, bob)
	theirs.air.setRule(holdIf(between(bob.key, alice.key)))
	theirs.send(bob, alice.key, "late")
	first.close()
	older := &goneBack{lasting: lasting{store.image(t, store.moment())}, number: 1, pending: true}
	w := newWorld(t, on(older), func(o *rookery.Options) { o.Transport = theirs.air })
	theirs.air.setRule(nil)
	theirs.air.release()
	w.awaitMessages(1, alice)
	if m := messages(w.bag.all(), alice)[0]; string(m.Payload) != "late" {
		t.Errorf("read %q", m.Payload)
	}
	first.open()
}

// T03, T06: a recovery that the disk cuts short is done by the next Open, once.
func TestRecoveryThatWasCutShortIsDoneByTheNextOpen(t *testing.T) {
	h := newHistory(t)
	h.older.broken = true
	options := rookery.Options{Store: h.older, Transport: h.theirs.air}
	if _, err := rookery.Open(t.Context(), options); !errors.Is(err, errBroken) {
		t.Fatalf("open on a broken disk: %v", err)
	}
	h.older.broken = false
	for range 2 { // the second: done, but Recovered was not durable
		w := h.again(t)
		w.close()
		h.older.pending = true
		w.open()
		if got := len(w.engine.Identities()); got != 2 {
			t.Errorf("%d installations", got)
		}
	}
	h.older.number, h.older.pending = 2, true // it went back once more
	w := h.again(t)
	retired := 0
	for _, i := range w.engine.Identities() {
		if i.Retired() {
			retired++
		}
	}
	if got := len(w.engine.Identities()); got != 3 || retired != 2 {
		t.Errorf("%d installations, %d of them retired", got, retired)
	}
}
