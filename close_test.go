package rookery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/actors"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

func TestAfterCloseEveryCallIsRefusedAtOnce(t *testing.T) {
	w := newWorld(t, backends[0])
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
	w.reopen() // bob's actor has not been used since
	if _, err := w.at(alice).Bundle(w.context()); err != nil {
		t.Fatal(err)
	}
	engine, message := w.engine, messages(w.bag.all(), bob)[0]
	from, unused := w.at(alice), w.at(bob)
	w.close()
	before := len(w.air.history())
	ctx := w.context()
	calls := map[string]func(*rookery.Identity) error{
		"send":     func(i *rookery.Identity) error { _, err := i.Send(ctx, bob.key, []byte("x")); return err },
		"bundle":   func(i *rookery.Identity) error { _, err := i.Bundle(ctx); return err },
		"contact":  func(i *rookery.Identity) error { _, err := i.Contact(ctx, bob.key); return err },
		"approve":  func(i *rookery.Identity) error { return i.Approve(ctx, bob.key, "x") },
		"new":      func(i *rookery.Identity) error { _, err := i.AddInstallation(ctx); return err },
		"identity": func(*rookery.Identity) error { _, err := engine.CreateIdentity(ctx, rookery.NewIdentity{}); return err },
		"same": func(*rookery.Identity) error {
			n := rookery.NewIdentity{Key: bytes.Repeat([]byte{7}, 32), InstallationID: "x"}
			_, err := engine.CreateIdentity(ctx, n)
			return err
		},
		"contact code": func(i *rookery.Identity) error {
			return i.PublishContactCode(ctx, func(error) { t.Error("published") })
		},
	}
	for name, call := range calls {
		for _, i := range []*rookery.Identity{from, unused} {
			if err := call(i); !errors.Is(err, rookery.ErrClosed) && !errors.Is(err, actors.ErrStopped) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	message.Ack()
	if from.PublicKey() != alice.key || from.InstallationID() != alice.installation {
		t.Error("the identity has forgotten who it is")
	}
	if err := engine.Close(ctx); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if n := len(w.air.history()); n != before {
		t.Errorf("%d envelopes were published", n-before)
	}
}

// T16: closing in the middle of traffic loses nothing that was accepted.
func TestCloseUnderTraffic(t *testing.T) {
	const rounds, each = 4, 40
	for round := range rounds {
		w := newWorld(t, backends[1])
		alice, bob := w.person(2), w.person(2)
		w.introduceAll(alice, bob)
		w.introduceAll(bob, alice)
		people := [][]device{alice, bob}
		var mu sync.Mutex
		var sent []note
		var senders sync.WaitGroup
		for side, from := range people {
			to := people[1-side][0]
			for _, d := range from {
				i := w.at(d)
				senders.Go(func() {
					for n := range each {
						payload := fmt.Sprint(n, " of ", d.installation)
						receipt, err := i.Send(context.Background(), to.key, []byte(payload))
						if err != nil {
							wantError(t, err, rookery.ErrClosed)
							return
						}
						mu.Lock()
						sent = append(sent, note{d, to, receipt.ID, payload})
						mu.Unlock()
					}
				})
				senders.Go(func() {
					direct, err := i.Direct(to.key)
					// Nobody gets these: receivers skip them, up to 1,000.
					for n := 0; err == nil && n < 300; n++ {
						_, err = direct.Encrypt(context.Background(), []byte("on the side"))
					}
					if err != nil {
						wantError(t, err, rookery.ErrClosed)
					}
				})
			}
		}
		senders.Go(func() {
			for range each {
				if _, err := w.engine.CreateIdentity(context.Background(), rookery.NewIdentity{}); err != nil {
					return
				}
			}
		})
		w.awaitMessages(6*round, people[round%2]...)
		w.close()
		senders.Wait()
		history := w.air.history()
		w.open()
		w.air.deliver(history)
		for _, n := range sent {
			for _, d := range devicesOf(people, n.to) {
				w.awaitDelivery(n, d, nil)
			}
		}
		w.close()
	}
}

func TestCloseGivesUpOnAHandlerThatDoesNotReturn(t *testing.T) {
	w := newWorld(t, backends[1])
	stuck, release := make(chan struct{}), make(chan struct{})
	w.configure = append(w.configure, func(o *rookery.Options) {
		o.Handler = func(rookery.Event) {
			close(stuck)
			<-release
		}
	})
	alice := w.person(1)[0]
	w.reopen()
	w.air.deliver([]transport.Envelope{envelopeTo(alice, alice.key, []byte{0xff})})
	<-stuck
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	wantError(t, w.engine.Close(ctx), context.DeadlineExceeded)
	if _, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{}); !errors.Is(err, rookery.ErrClosed) {
		t.Errorf("create after a close that gave up: %v", err)
	}
	close(release)
}

// A close that gives up leaves keys and store to the work that is still under
// way, and can be called again to wait for it.
func TestCloseThatGivesUpTakesNoKeysFromWorkUnderWay(t *testing.T) {
	random := &dice{}
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.Random = random })
	store := memstore.New()
	w.configure = append(w.configure, func(o *rookery.Options) { o.Store = store }) // one that does end
	w.reopen()
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	eventually(t, "two keys made ahead", func() bool { return w.keysReady() == 2 }) // for two prekeys
	open := random.shut()
	defer open()
	sent := make(chan error, 1)
	from := w.at(alice)
	go func() {
		_, err := from.Send(context.Background(), bob.key, []byte("x"))
		sent <- err
	}()
	eventually(t, "stalled sender", func() bool { return random.waiting.Load() > 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	wantError(t, w.engine.Close(ctx), context.DeadlineExceeded)
	open()
	if err := <-sent; err != nil {
		t.Errorf("send that was under way: %v", err)
	}
	if err := w.engine.Close(w.context()); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// Close takes no more messages: it ends although nobody stops sending.
func TestCloseEndsWhileManyGoOnSending(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(t, b)
			alice, bob := w.person(1)[0], w.person(1)[0]
			w.introduce(w.at(alice), w.at(bob))
			from := w.at(alice)
			var senders sync.WaitGroup
			refused := make(chan error, 32)
			var sent atomic.Int64
			for range cap(refused) {
				senders.Go(func() {
					for {
						if _, err := from.Send(context.Background(), bob.key, []byte("x")); err != nil {
							refused <- err
							return
						}
						sent.Add(1)
					}
				})
			}
			eventually(t, "traffic", func() bool { return sent.Load() > 200 })
			if err := w.engine.Close(w.context()); err != nil {
				t.Fatal(err)
			}
			senders.Wait()
			close(refused)
			for err := range refused {
				if !errors.Is(err, rookery.ErrClosed) {
					t.Errorf("a sender was told %v", err)
				}
			}
		})
	}
}
