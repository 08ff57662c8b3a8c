package rookery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
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
