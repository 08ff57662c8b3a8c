package installation_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/installation"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/storetest"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

const now = int64(1_767_225_600_000_000_000) // 2026-01-01

var errDisk = errors.New("disk")

// host is one installation with its store, and what it has published and
// reported.
type host struct {
	t         *testing.T
	config    installation.Config
	store     *storetest.Faulty
	published []transport.Envelope
	events    []deviceactor.Event
	*installation.Installation
}

func newHost(t *testing.T, seed byte, id string) *host {
	t.Helper()
	h := &host{t: t, store: storetest.NewFaulty(memory.New())}
	random := rand.NewChaCha8([32]byte{seed})
	key, err := x3dh.GenerateIdentity(random)
	if err != nil {
		t.Fatal(err)
	}
	h.config = installation.Config{
		Key:      &key,
		View:     deviceactor.View{Own: key.Public(), Installation: id, MaxInstallations: 3},
		Store:    h.store,
		Random:   random,
		Schedule: bundleactor.DefaultSchedule(),
		Limits:   ratchet.DeployedLimits(),
		Publish:  func(e transport.Envelope) { h.published = append(h.published, e) },
		Deliver:  func(e deviceactor.Event) { h.events = append(h.events, e) },
	}
	h.open()
	return h
}

// open starts the installation again from its store.
func (h *host) open() {
	h.t.Helper()
	h.published, h.events = nil, nil
	opened, err := installation.Open(context.Background(), h.config, now)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Installation = opened
}

func (h *host) meet(other *host) {
	h.t.Helper()
	b, err := other.Bundle(context.Background(), now)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.TakeBundle(context.Background(), other.config.View.Own, wire.EncodeBundle(b), now); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) send(to *host, text string) deviceactor.Receipt {
	h.t.Helper()
	r, err := h.Send(context.Background(), to.config.View.Own, []byte(text), now)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// last is the envelope published last.
func (h *host) last() transport.Envelope { return h.published[len(h.published)-1] }

// received are the messages reported so far.
func (h *host) received() []deviceactor.MessageReceived {
	var out []deviceactor.MessageReceived
	for _, e := range h.events {
		if m, ok := e.(deviceactor.MessageReceived); ok {
			out = append(out, m)
		}
	}
	return out
}

func records(t *testing.T, h *host, kind persistence.Kind) int {
	t.Helper()
	n := 0
	owner := persistence.NewOwnerID(h.config.View.Own[:], h.config.View.Installation)
	err := h.store.Scan(context.Background(), persistence.NewName(kind, owner[:]), func(persistence.Name, []byte) error {
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMessageIsReportedAgainUntilAcknowledged proves the inbox: a message is
// reported at every start until Ack, under the id that its sender has.
func TestMessageIsReportedAgainUntilAcknowledged(t *testing.T) {
	alice, bob := newHost(t, 1, "a"), newHost(t, 2, "b")
	alice.meet(bob)
	receipt := alice.send(bob, "hello")
	if err := bob.Receive(context.Background(), alice.last(), now); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got := bob.received()
		if len(got) != 1 || string(got[0].Payload) != "hello" || got[0].ID != receipt.ID {
			t.Fatalf("reported %v, want the one message %x", got, receipt.ID)
		}
		bob.open()
	}
	if err := bob.Ack(context.Background(), bob.received()[0]); err != nil {
		t.Fatal(err)
	}
	bob.open()
	if got := bob.received(); len(got) != 0 {
		t.Errorf("reported %v after it was acknowledged", got)
	}
}

// TestNothingLeavesBeforeItIsDurable proves the order of a step: after a failed
// write nothing was published or reported, and the next message uses what the
// store says.
func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	alice, bob := newHost(t, 1, "a"), newHost(t, 2, "b")
	alice.meet(bob)
	if _, err := alice.Bundle(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	alice.store.FailApply(1, errDisk)
	_, err := alice.Send(context.Background(), bob.config.View.Own, []byte("lost"), now)
	if !errors.Is(err, deviceactor.ErrNotDurable) || !errors.Is(err, errDisk) || len(alice.published) != 0 {
		t.Fatalf("error %v, %d published, want ErrNotDurable and none", err, len(alice.published))
	}
	alice.send(bob, "kept")
	bob.store.FailApply(1, errDisk)
	err = bob.Receive(context.Background(), alice.last(), now)
	if !deviceactor.Unhandled(err) || len(bob.events) != 0 {
		t.Fatalf("error %v and events %v, want one that asks for the envelope again", err, bob.events)
	}
	if err := bob.Receive(context.Background(), alice.last(), now); err != nil {
		t.Fatal(err)
	}
	if got := bob.received(); len(got) != 1 || string(got[0].Payload) != "kept" {
		t.Errorf("reported %v", got)
	}
}

// TestOutboxIsPublishedAgain proves that a message which is durable is published
// by the next start or sweep, as the same bytes, until it has left the outbox.
func TestOutboxIsPublishedAgain(t *testing.T) {
	for _, again := range []struct {
		name string
		by   func(*host) error
	}{
		{"start", func(h *host) error { h.open(); return nil }},
		{"sweep", func(h *host) error { return h.Sweep(context.Background(), now) }},
	} {
		t.Run(again.name, func(t *testing.T) {
			alice, bob := newHost(t, 1, "a"), newHost(t, 2, "b")
			alice.meet(bob)
			if _, err := alice.Bundle(context.Background(), now); err != nil {
				t.Fatal(err)
			}
			alice.store.FailApply(2, errDisk) // the first is the message, the second takes it out
			alice.send(bob, "hello")
			if records(t, alice, persistence.KindOutbox) != 1 {
				t.Fatal("the message has left the outbox")
			}
			want := string(alice.last().Payload)
			if err := again.by(alice); err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, e := range alice.published {
				if string(e.Payload) == want {
					found++
				}
			}
			if found == 0 || records(t, alice, persistence.KindOutbox) != 0 {
				t.Errorf("published %d times, %d messages left in the outbox", found, records(t, alice, persistence.KindOutbox))
			}
		})
	}
}

// TestCopyIsMadeAfterAFailure proves that what was sent to a contact reaches our
// own other installations also if their copy could not be made at once.
func TestCopyIsMadeAfterAFailure(t *testing.T) {
	first, bob := newHost(t, 1, "00000000-0000-4000-8000-000000000001"), newHost(t, 2, "b")
	second := newHost(t, 1, "00000000-0000-4000-8000-000000000002")
	own := first.config.View.Own
	first.meet(second)
	if err := first.Enable(context.Background(), own, second.config.View.Installation, true, now); err != nil {
		t.Fatal(err)
	}
	second.meet(first)
	if err := second.Enable(context.Background(), own, first.config.View.Installation, true, now); err != nil {
		t.Fatal(err)
	}
	first.meet(bob)
	if _, err := first.Bundle(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	first.store.FailApply(3, errDisk) // message, out of the outbox, copy
	receipt := first.send(bob, "hello")
	if records(t, first, persistence.KindCopy) != 1 {
		t.Fatal("the copy is not noted")
	}
	first.open()
	if len(first.published) != 1 || records(t, first, persistence.KindCopy) != 0 {
		t.Fatalf("%d published, %d copies left", len(first.published), records(t, first, persistence.KindCopy))
	}
	if err := second.Receive(context.Background(), first.last(), now); err != nil {
		t.Fatal(err)
	}
	got := second.received()
	if len(got) != 1 || got[0].ID != receipt.ID || got[0].Recipient != bob.config.View.Own || string(got[0].Payload) != "hello" {
		t.Errorf("reported %v, want the message to bob", got)
	}
}

// TestOlderOwnerIsFenced proves that an installation which was opened again
// somewhere else can write nothing any more.
func TestOlderOwnerIsFenced(t *testing.T) {
	alice, bob := newHost(t, 1, "a"), newHost(t, 2, "b")
	alice.meet(bob)
	older := alice.Installation
	alice.open()
	_, err := older.Send(context.Background(), bob.config.View.Own, []byte("hello"), now)
	if !errors.Is(err, persistence.ErrFenced) || len(alice.published) != 0 {
		t.Errorf("error %v, %d published, want ErrFenced and none", err, len(alice.published))
	}
}

// TestContactCodeCarriesOnlyKeys proves that of what is published as a contact
// code nothing but the bundle is taken.
func TestContactCodeCarriesOnlyKeys(t *testing.T) {
	alice, bob := newHost(t, 1, "a"), newHost(t, 2, "b")
	alice.meet(bob)
	alice.send(bob, "hello")
	e := alice.last()
	e.Topic = transport.ContactCodeTopic(alice.config.View.Own)
	if err := bob.Receive(context.Background(), e, now); err != nil {
		t.Fatal(err)
	}
	contact, err := bob.Contact(context.Background(), alice.config.View.Own)
	if err != nil || len(contact.Installations) != 1 || len(bob.received()) != 0 {
		t.Errorf("contact %v, error %v, reported %v", contact, err, bob.received())
	}
}

// TestSweepAnnouncesRotatesAndForgets proves what the passing of time does: the
// contact code is published, prekeys are replaced, and expired sessions go.
func TestSweepAnnouncesRotatesAndForgets(t *testing.T) {
	alice, bob := newHost(t, 1, "a"), newHost(t, 2, "b")
	alice.meet(bob)
	alice.send(bob, "on the first prekey")
	day := int64(24 * time.Hour)
	if err := bob.Sweep(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	if len(bob.published) != 1 || bob.last().Topic != transport.ContactCodeTopic(bob.config.View.Own) {
		t.Fatalf("published %v, want the contact code", bob.published)
	}
	if err := bob.Sweep(context.Background(), now+day); err != nil {
		t.Fatal(err)
	}
	b, err := bob.Bundle(context.Background(), now+day)
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.TakeBundle(context.Background(), bob.config.View.Own, wire.EncodeBundle(b), now+day); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Send(context.Background(), bob.config.View.Own, []byte("on the second"), now+day); err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		days     int64
		sessions int
	}{{14, 2}, {15, 1}} {
		if err := alice.Sweep(context.Background(), now+at.days*day); err != nil {
			t.Fatal(err)
		}
		if got := records(t, alice, persistence.KindSession); got != at.sessions {
			t.Errorf("after %d days %d sessions, want %d", at.days, got, at.sessions)
		}
	}
}
