package deviceactor

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/x3dh"
)

// searched counts the reads of a store.
type searched struct {
	persistence.Store
	gets, scans int
	scanned     func() // before a scan; may be nil
}

func (s *searched) Get(ctx context.Context, name persistence.Name) ([]byte, error) {
	s.gets++
	return s.Store.Get(ctx, name)
}

func (s *searched) Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	s.scans++
	if s.scanned != nil {
		s.scanned()
	}
	return s.Store.Scan(ctx, prefix, fn)
}

func apply(t *testing.T, store persistence.Store, records ...persistence.Record) {
	t.Helper()
	if err := store.Apply(t.Context(), persistence.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

// apart are the stored records of installations alone.
func apart(t *testing.T, store persistence.Store) int {
	t.Helper()
	n := 0
	err := store.Scan(t.Context(), persistence.NewName(persistence.KindInstallation), func(persistence.Name, []byte) error {
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func installationName(owner persistence.OwnerID, peer x3dh.IdentityPublicKey, id string) persistence.Name {
	return persistence.NewName(persistence.KindInstallation, owner[:], peer[:], []byte(id))
}

// storeAsOlder stores a contact as older versions did, its installations apart, each
// after a change.
func storeAsOlder(t *testing.T, store persistence.Store, owner persistence.OwnerID, c Contact, change func(*record.Installation)) {
	t.Helper()
	var r record.Contact
	if err := proto.Unmarshal(c.AppendValue(nil), &r); err != nil {
		t.Fatal(err)
	}
	var records []persistence.Record
	put := func(name persistence.Name, m proto.Message) {
		value, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, persistence.Record{Name: name, Value: value})
	}
	for _, in := range r.Installations {
		change(in)
		put(installationName(owner, c.Identity, in.GetId()), in)
	}
	r.Installations, r.Whole = nil, false
	put(contactName(owner, c.Identity), &r)
	apply(t, store, records...)
}

func unchanged(*record.Installation) {}

// With many installations or none, a contact is one record and is read by one look-up.
func TestContactIsReadByOneLookUp(t *testing.T) {
	store := &searched{Store: memory.New()}
	c := Contact{Identity: peer, FirstSeen: 1}
	e := Effects{Contact: true}
	for _, id := range []string{"", "b", "a", "d", "c", "e"} {
		if id != "" {
			c = c.put(Installation{ID: id})
			e = Effects{Installations: []Installation{{ID: id}}}
		}
		records := e.Records(owner, &c)
		if len(records) != 1 {
			t.Errorf("with %q: %d records are written", id, len(records))
		}
		apply(t, store, records...)
		store.gets, store.scans = 0, 0
		loaded, err := LoadContact(t.Context(), store, owner, peer)
		if err != nil || !reflect.DeepEqual(loaded, c) {
			t.Errorf("with %q: got %+v, %v; want %+v", id, loaded, err, c)
		}
		if store.gets != 1 || store.scans != 0 {
			t.Errorf("with %q: %d look-ups and %d scans", id, store.gets, store.scans)
		}
	}
}

// What an older version has stored is read as it was; the next change of the contact or
// of one installation makes one record of all, and leaves nothing of the others.
func TestOlderContactBecomesOneRecordWithTheNextChange(t *testing.T) {
	c := Contact{Identity: peer, FirstSeen: 1}
	for _, id := range []string{"phone", "a", "tablet"} { // as names the short one comes first
		c = c.put(Installation{ID: id, Entry: entry(1, 2, 3), Enabled: true, FirstSeen: 4})
	}
	for name, step := range map[string]func(Contact) (Contact, Effects){
		"message": func(c Contact) (Contact, Effects) { return c.heard(here, "a", 9) },
		"blocked": func(c Contact) (Contact, Effects) {
			next, e, err := c.Block(here, true, 9)
			if err != nil {
				t.Fatal(err)
			}
			return next, e
		},
	} {
		store := &searched{Store: memory.New()}
		storeAsOlder(t, store, owner, c, unchanged)
		loaded, err := LoadContact(t.Context(), store, owner, peer)
		if err != nil || !reflect.DeepEqual(loaded.Installations, c.Installations) || loaded.FirstSeen != c.FirstSeen {
			t.Fatalf("%s: got %+v, %v", name, loaded, err)
		}
		next, e := step(loaded)
		apply(t, store, e.Records(owner, &next)...)
		if n := apart(t, store); n != 0 {
			t.Errorf("%s: %d records of installations are left", name, n)
		}
		store.gets, store.scans = 0, 0
		again, err := LoadContact(t.Context(), store, owner, peer)
		if err != nil || !reflect.DeepEqual(again, next) || store.gets != 1 || store.scans != 0 {
			t.Errorf("%s: got %+v, %v with %d look-ups and %d scans; want %+v", name, again, err, store.gets, store.scans, next)
		}
		again, e = again.heard(here, "a", 9+activeEvery)
		if records := e.Records(owner, &again); len(records) != 1 {
			t.Errorf("%s: the change after that writes %d records", name, len(records))
		}
	}
}

// An older contact without installations is read, too.
func TestOlderContactWithoutInstallations(t *testing.T) {
	store := memory.New()
	c := Contact{Identity: peer, FirstSeen: 1, Blocked: true}
	storeAsOlder(t, store, owner, c, unchanged)
	if loaded, err := LoadContact(t.Context(), store, owner, peer); err != nil || !reflect.DeepEqual(loaded, c) {
		t.Errorf("got %+v, %v", loaded, err)
	}
}

// Who reads an older contact while its installations become part of its record finds
// them, where they were or where they are.
func TestReaderFindsInstallationsThatMoveMeanwhile(t *testing.T) {
	store := &searched{Store: memory.New()}
	c := Contact{Identity: peer, FirstSeen: 1}.put(Installation{ID: "a"}).put(Installation{ID: "b"})
	storeAsOlder(t, store, owner, c, unchanged)
	loaded, err := LoadContact(t.Context(), store, owner, peer)
	if err != nil {
		t.Fatal(err)
	}
	next, e := loaded.heard(here, "a", 9)
	records := e.Records(owner, &next)
	store.scanned = func() { apply(t, store, records...) }
	if got, err := LoadContact(t.Context(), store, owner, peer); err != nil || !reflect.DeepEqual(got, next) {
		t.Errorf("got %+v, %v; want %+v", got, err, next)
	}
}

// A contact that goes on from an older store: its sessions go on, it is one record after
// the first message, also if its write fails at first, and it can be forgotten before
// that and after it.
func TestConversationGoesOnFromAnOlderContact(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.host("alice"), w.host("bob")
	talk(alice, bob)
	older := func() {
		known := bob.known(alice)
		bob.restart(alice.key.Public())
		storeAsOlder(t, bob.disk, bob.owner, known, unchanged)
		bob.now.Add(1) // so that the next message changes the contact
	}
	older()
	if bob.disk.count(t, persistence.KindInstallation) != 1 {
		t.Fatal("it is no older contact")
	}
	lost := alice.send(bob, "lost")
	bob.disk.failing(always)
	if err := bob.tryReceive(alice, lost); !errors.Is(err, ErrNotDurable) {
		t.Fatalf("got %v", err)
	}
	if bob.disk.count(t, persistence.KindInstallation) != 1 {
		t.Error("a write that failed has deleted an installation")
	}
	bob.disk.failing(nil)
	bob.receive(alice, lost)
	alice.receive(bob, bob.send(alice, "hello"))
	if n := bob.disk.count(t, persistence.KindInstallation); n != 0 {
		t.Errorf("%d records of installations", n)
	}
	older()
	if err := bob.answerRequest(alice, false); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []persistence.Kind{persistence.KindContact, persistence.KindInstallation, persistence.KindSession} {
		if n := bob.disk.count(t, kind); n != 0 {
			t.Errorf("%d records of %v after the contact was forgotten", n, kind)
		}
	}
}

// The largest contact that the rules allow is one that a store takes.
func TestLargestContactIsBounded(t *testing.T) {
	c := Contact{Identity: peer, FirstSeen: noon, Standing: Accepted, ForwardSecrecy: true}
	for n := range maxSeen {
		c.Seen = append(c.Seen, BundleHash{byte(n), 1})
	}
	for n := range maxInstallations {
		id := make([]byte, 100)
		for i := range id {
			id[i] = byte('0' + n)
		}
		c = c.put(Installation{
			ID: string(id), Entry: bySibling(entry(noon, 1<<31, byte(n+1))), ProtocolVersion: 1 << 31, Enabled: true,
			Active: noon, FirstSeen: noon, Signed: noon, Bundle: BundleHash{1}, OmittedSince: noon, Stale: true,
		})
	}
	value := c.AppendValue(nil)
	if size := len(value); size > 20<<10 || size > c.ValueSize()+maxInstallations*64 {
		t.Errorf("%d bytes, estimated %d", size, c.ValueSize())
	}
	store := memory.New()
	apply(t, store, persistence.Record{Name: contactName(owner, peer), Value: value})
	if loaded, err := LoadContact(t.Context(), store, owner, peer); err != nil || !reflect.DeepEqual(loaded, c) {
		t.Errorf("got %+v, %v", loaded, err)
	}
}
