package rookery_test

import (
	"context"
	"sync"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
)

// slowReading is a store that keeps who reads one record waiting.
type slowReading struct {
	lasting
	mu      sync.Mutex
	name    persistence.Name
	reached chan struct{}
	release chan struct{}
}

// stall keeps the next reader of a record waiting. It gives what is closed when he has
// come, and what lets him go on.
func (s *slowReading) stall(name persistence.Name) (reached <-chan struct{}, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.reached, s.release = name, make(chan struct{}), make(chan struct{})
	return s.reached, sync.OnceFunc(func() { close(s.release) })
}

func (s *slowReading) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	s.mu.Lock()
	stalls := s.name == name
	if stalls {
		s.name = ""
		close(s.reached)
	}
	s.mu.Unlock()
	if stalls {
		<-s.release
	}
	return s.lasting.Get(ctx, name)
}

// T11: the actor of an identity that panics answers its contacts afterwards: one that
// has yet to look for a signed prekey neither waits for ever nor keeps Close waiting.
func TestContactFindsItsPreKeyAfterAPanicOfTheIdentity(t *testing.T) {
	for name, proceed := range map[string]func(*world){
		"in use":  func(*world) {},
		"closing": (*world).reopen,
	} {
		t.Run(name, func(t *testing.T) {
			store := &slowReading{lasting: lasting{memstore.New()}}
			w := newWorld(t, on(store))
			alice, bob := w.person(1)[0], w.person(1)[0]
			w.introduce(w.at(alice), w.at(bob))
			owner := persistence.NewOwnerID(bob.key[:], bob.installation)
			reached, release := store.stall(persistence.NewName(persistence.KindContact, owner[:], alice.key[:]))
			defer release()
			w.send(alice, bob.key, "hello") // names a prekey of bob's
			<-reached
			w.at(bob).Panic()
			w.measured.awaits("rookery.actors.quarantined", 1)
			release()
			proceed(w)
			w.awaitMessages(1, bob)
			w.send(bob, alice.key, "hello back")
			w.awaitMessages(1, alice)
		})
	}
}

// T11: nor does a handler that sends.
func TestHandlerSendsAfterAPanicOfItsIdentity(t *testing.T) {
	handling, panicked := make(chan struct{}), make(chan struct{})
	sent := make(chan error, 1)
	var w *world
	w = newWorld(t, backends[1], func(o *rookery.Options) {
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			if m, ok := e.(rookery.Message); ok && string(m.Payload) == "hello" {
				close(handling)
				<-panicked
				_, err := m.Identity.Send(w.context(), m.Sender, []byte("hello back"))
				sent <- err
			}
			handle(e)
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "hello")
	<-handling
	w.at(bob).Panic()
	w.measured.awaits("rookery.actors.quarantined", 1)
	close(panicked)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	w.awaitMessages(1, alice)
}
