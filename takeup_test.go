package rookery_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// T15: who had the store before writes nothing any more from the moment on that
// another engine has opened it, also for identities that were not woken there.
func TestOlderEngineIsFencedOffByOpen(t *testing.T) {
	store := lasting{memstore.New()}
	older := newWorld(t, on(store))
	alice, bob := older.person(1)[0], older.person(1)[0]
	older.introduce(older.at(alice), older.at(bob))
	older.send(alice, bob.key, "mine")
	older.awaitMessages(1, bob)

	newer := newWorld(t, on(store))
	_, err := older.at(alice).Send(older.context(), bob.key, []byte("not mine any more"))
	wantError(t, err, persistence.ErrFenced)
	newer.send(alice, bob.key, "ours")
	newer.awaitMessages(1, bob)
	_, err = older.at(bob).Send(older.context(), alice.key, []byte("neither"))
	wantError(t, err, persistence.ErrFenced)
}

// identityRecord reads and writes the record of an installation behind an engine's back.
func identityRecord(t *testing.T, store persistence.Store, of device) (read func() *record.Identity, write func(*record.Identity)) {
	t.Helper()
	owner := persistence.NewOwnerID(of.key[:], of.installation)
	name := persistence.NewName(persistence.KindIdentity, owner[:])
	return func() *record.Identity {
			value, err := store.Get(context.Background(), name)
			if err != nil {
				t.Fatal(err)
			}
			var r record.Identity
			if err := proto.Unmarshal(value, &r); err != nil {
				t.Fatal(err)
			}
			return &r
		}, func(r *record.Identity) {
			value, err := proto.Marshal(r)
			if err == nil {
				err = store.Apply(context.Background(), persistence.Batch{Records: []persistence.Record{{Name: name, Value: value}}})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
}

func TestIdentityRecordWithoutPublicKeyIsCompleted(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.close()
	read, write := identityRecord(t, store, alice)
	complete := read()
	if string(complete.GetPublicKey()) != string(alice.key[:]) {
		t.Fatalf("a new record has the public key %x, want %v", complete.GetPublicKey(), alice.key)
	}
	old := proto.CloneOf(complete)
	old.PublicKey = nil
	write(old)
	w.open()
	if got := read(); !proto.Equal(got, complete) {
		t.Error("the record is not what it was")
	}
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
}

// T05: halves of a key that do not belong together are found out before the private
// one is used by an actor.
func TestIdentityWithAnotherPublicKeyDoesNotWake(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.close()
	readAlice, _ := identityRecord(t, store, alice)
	readBob, writeBob := identityRecord(t, store, bob)
	mixed := readBob()
	mixed.IdentityKey = readAlice().GetIdentityKey()
	writeBob(mixed)
	w.open()
	_, err := w.at(bob).Bundle(w.context())
	wantError(t, err, cause.ErrStoreCorrupt)
	if _, err := w.at(alice).Bundle(w.context()); err != nil {
		t.Error(err)
	}
}

func TestIdentityRecordUnderAnotherNameIsRefused(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.close()
	readAlice, _ := identityRecord(t, store, alice)
	_, writeBob := identityRecord(t, store, bob)
	writeBob(readAlice())
	_, err := rookery.Open(t.Context(), rookery.Options{Store: store, Transport: w.air})
	wantError(t, err, cause.ErrStoreCorrupt)
	writeBob(&record.Identity{IdentityKey: readAlice().GetIdentityKey(), InstallationId: bob.installation, PublicKey: make([]byte, x3dh.PublicKeySize-1)})
	_, err = rookery.Open(t.Context(), rookery.Options{Store: store, Transport: w.air})
	wantError(t, err, cause.ErrStoreCorrupt)
}

// counted counts the calls of a store.
type counted struct {
	persistence.Store
	gets, scans, writes atomic.Int64
}

func (c *counted) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, name)
}

func (c *counted) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	c.scans.Add(1)
	return c.Store.Scan(ctx, prefix, fn)
}

func (c *counted) Apply(ctx context.Context, batch persistence.Batch) error {
	c.writes.Add(1)
	return c.Store.Apply(ctx, batch)
}

func (c *counted) Own(ctx context.Context, owner persistence.OwnerID) (uint64, error) {
	c.writes.Add(1)
	return c.Store.Own(ctx, owner)
}

func (c *counted) OwnAll(ctx context.Context, owners []persistence.OwnerID) ([]uint64, error) {
	c.writes.Add(1)
	return c.Store.OwnAll(ctx, owners)
}

func (c *counted) reset() { c.gets.Store(0); c.scans.Store(0); c.writes.Store(0) }

func TestOpenCostsTheStoreNoMoreForManyIdentities(t *testing.T) {
	store := &counted{Store: lasting{memstore.New()}}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
	open := func() (gets, scans, writes int64) {
		eventually(t, "acknowledgement", func() bool { return count(t, store, persistence.KindInbox) == 0 })
		w.close()
		store.reset()
		w.open()
		return store.gets.Load(), store.scans.Load(), store.writes.Load()
	}
	gets, scans, writes := open()
	for range 50 {
		w.person(1)
	}
	if g, s, wr := open(); g != gets || s != scans || wr != writes || wr != 1 {
		t.Errorf("52 identities cost %d gets, %d scans and %d writes; two of them %d, %d and %d", g, s, wr, gets, scans, writes)
	}
	// The first wake writes nothing by itself.
	store.reset()
	if _, err := w.at(alice).Contact(w.context(), bob.key); err != nil {
		t.Fatal(err)
	}
	if n := store.writes.Load(); n != 0 {
		t.Errorf("a first wake made %d writes", n)
	}
}

// full refuses every write, as a disk does that takes none.
type full struct {
	*counted
	kind error
	on   atomic.Bool
}

func (f *full) refuse() error {
	if f.on.Load() {
		return &persistence.StoreError{Op: "apply", Kind: f.kind, Err: errors.New("no room")}
	}
	return nil
}

func (f *full) Apply(ctx context.Context, batch persistence.Batch) error {
	if err := f.refuse(); err != nil {
		return err
	}
	return f.counted.Apply(ctx, batch)
}

func (f *full) Own(ctx context.Context, owner persistence.OwnerID) (uint64, error) {
	if err := f.refuse(); err != nil {
		return 0, err
	}
	return f.counted.Own(ctx, owner)
}

func (f *full) OwnAll(ctx context.Context, owners []persistence.OwnerID) ([]uint64, error) {
	if err := f.refuse(); err != nil {
		return nil, err
	}
	return f.counted.OwnAll(ctx, owners)
}

func TestIdentitiesAreTakenOverLaterWhenTheDiskIsFullAtOpen(t *testing.T) {
	for name, full := range unwritable {
		t.Run(name, func(t *testing.T) { takeOverLater(t, full.kind) })
	}
}

func takeOverLater(t *testing.T, kind error) {
	store := &full{counted: &counted{Store: lasting{memstore.New()}}, kind: kind}
	w := newWorld(t, on(store))
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.close()
	read, write := identityRecord(t, store, alice)
	old := read()
	old.PublicKey = nil
	write(old)
	store.on.Store(true)
	w.open()
	_, err := w.at(alice).Send(w.context(), bob.key, []byte("no room"))
	wantError(t, err, kind)
	store.on.Store(false)
	w.send(alice, bob.key, "room")
	w.awaitMessages(1, bob)
}

// However much was left over in the inbox, of what was not reported yet only the names are
// in memory; it is reported before what comes later, all of it once.
func TestWhatIsLeftInTheInboxIsReadWhenItsTurnComes(t *testing.T) {
	const left = 50
	store := &noted{Store: lasting{memstore.New()}, reads: make(map[string]int)}
	entered, release := make(chan struct{}, 1), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	var slow atomic.Bool
	w := newWorld(t, on(store), func(o *rookery.Options) {
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			if _, ok := e.(rookery.Message); ok && slow.Load() {
				select {
				case entered <- struct{}{}:
				default:
				}
				<-release
			}
			handle(e)
		}
	})
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.bag.keepAll()
	for n := range left {
		w.send(alice, bob.key, fmt.Sprint("before ", n))
	}
	w.awaitMessages(left, bob)
	w.close()
	w.bag.empty()
	slow.Store(true)
	store.take()
	w.open()
	<-entered
	if n := store.take()["get inbox"]; n != 1 {
		t.Errorf("%d messages were read while the handler has the first one", n)
	}
	received := w.engine.Counts().Received
	w.send(alice, bob.key, "later")
	eventually(t, "the later message", func() bool { return w.engine.Counts().Received > received })
	letGo()
	w.awaitMessages(left+1, bob)
	eventually(t, "the end of the work", func() bool { return !w.at(bob).Busy() })
	got := messages(w.bag.all(), bob)
	seen := make(map[rookery.MessageID]bool)
	for _, m := range got {
		seen[m.ID] = true
	}
	if last := string(got[len(got)-1].Payload); len(got) != left+1 || len(seen) != len(got) || last != "later" {
		t.Errorf("%d messages, %d different ones, the last is %q", len(got), len(seen), last)
	}
}

// Contacts with something in the outbox are woken some at a time, fewer while memory is
// full, and all of them come to their turn.
func TestWhatIsLeftInTheOutboxIsPublishedSomeAtATime(t *testing.T) {
	const contacts, atOnce = 100, 256 / 8
	store := lasting{memstore.New()}
	w := newWorld(t, on(store), func(o *rookery.Options) { o.MemoryBudget = 1 })
	alice := w.person(1)[0]
	w.air.refuseFrom(alice.key)
	for n := range contacts {
		key, err := x3dh.GenerateIdentity(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w.send(alice, key.Public(), fmt.Sprint("to contact ", n))
	}
	w.close()
	w.air.setRule(nil)
	before := len(w.air.history())
	w.open()
	published := func() int { return len(w.air.history()) - before }
	eventually(t, "the first ones", func() bool { return published() >= atOnce })
	w.flush(alice) // behind all that it was told
	if n := published(); n != atOnce {
		t.Errorf("%d messages are published before the first sweep, want %d", n, atOnce)
	}
	w.sweepUntil("an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
}

// As many identities as there may be with something in the outbox: no more than 250 are
// woken at once.
func TestIdentitiesWithSomethingInTheOutboxAreWokenSomeAtATime(t *testing.T) {
	const identities, atOnce = 260, 250
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	w.air.setRule(func(transport.Envelope) verdict { return refuse })
	bob, err := x3dh.GenerateIdentity(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range identities {
		w.send(w.person(1)[0], bob.Public(), "hello")
	}
	w.close()
	w.air.setRule(nil)
	w.open()
	eventually(t, "the first ones", func() bool { return count(t, store, persistence.KindOutbox) == identities-atOnce })
	if n := w.engine.Counts().Wakes; n != atOnce {
		t.Errorf("%d were woken, want %d", n, atOnce)
	}
	w.sweepUntil("an empty outbox", func() bool { return count(t, store, persistence.KindOutbox) == 0 })
}
