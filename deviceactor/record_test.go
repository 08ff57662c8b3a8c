package deviceactor

import (
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/x3dh"
)

var (
	owner = persistence.OwnerID{1}
	peer  = x3dh.IdentityPublicKey{3, 1, 2, 3}
)

func TestContactComesBackFromItsRecords(t *testing.T) {
	for name, c := range map[string]Contact{
		"with everything": {
			Identity: peer, FirstSeen: 5, ForwardSecrecy: true, Standing: Requested,
			Seen: [][sha256.Size]byte{{1}, {2}},
			Installations: []Installation{
				{ID: "a", Entry: entry(1, 2, 3), ProtocolVersion: 4, Enabled: true, Active: 5, FirstSeen: 6, Signed: 8, OmittedSince: 7, Stale: true},
				{ID: "b", Denied: true, Active: 6}, // heard of, without a bundle
				{ID: "c", Entry: bySibling(entry(7, 0, 1))},
			},
		},
		"only seen": {Identity: peer, FirstSeen: 1},
		"accepted":  {Identity: peer, FirstSeen: 1, Standing: Accepted},
		"blocked":   {Identity: peer, FirstSeen: 1, Standing: Accepted, Blocked: true},
	} {
		e := Effects{Contact: true, Installations: c.Installations}
		store := memory.New()
		apply(t, store, e.Records(owner, &c)...)
		got, err := LoadContact(t.Context(), store, owner, peer)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if other, err := LoadContact(t.Context(), store, owner, x3dh.IdentityPublicKey{2}); err != nil || other.FirstSeen != 0 || len(other.Installations) != 0 {
			t.Errorf("%s: of another peer %+v, %v", name, other, err)
		}
	}
}

func TestOutgoingComesBackFromItsRecord(t *testing.T) {
	o := Outgoing{ID: MessageID{1, 2}, Recipient: peer, Message: []byte("message"), Created: 7}
	value := o.AppendValue(nil)
	if got, err := DecodeOutgoing(value); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReceivedComesBackFromItsRecord(t *testing.T) {
	for _, m := range []MessageReceived{
		{ID: MessageID{1}, Sender: peer, Installation: "a", Payload: []byte("x"), Received: 9, ForwardSecrecy: true},
		{ID: MessageID{2}, Sender: peer, Payload: []byte("y")},
		{ID: MessageID{3}, Sender: peer, Payload: []byte("y"), Recipient: x3dh.IdentityPublicKey{2, 4}, Request: true},
		{ID: MessageID{4}, Sender: peer, Payload: []byte("y"), Chat: "rookery"},
	} {
		value := m.AppendValue(nil)
		if got, err := DecodeReceived(value); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestCorruptRecordsAreReported(t *testing.T) {
	marshal := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	contact := marshal(&record.Contact{FirstSeen: 1})
	for name, records := range map[string][]persistence.Record{
		"contact that is no record": {{Name: contactName(owner, peer), Value: []byte("\xff")}},
		"hash of 3 bytes":           {{Name: contactName(owner, peer), Value: marshal(&record.Contact{DhOnlySeen: [][]byte{{1, 2, 3}}})}},
		"standing of the future":    {{Name: contactName(owner, peer), Value: marshal(&record.Contact{Standing: uint32(Accepted) + 1})}},
		"contact's prekey of 3 bytes": {{Name: contactName(owner, peer), Value: marshal(&record.Contact{
			Installations: []*record.Installation{{Id: "a", SignedPreKey: []byte("abc")}},
		})}},
		"installations out of order": {{Name: contactName(owner, peer), Value: marshal(&record.Contact{
			Installations: []*record.Installation{{Id: "b"}, {Id: "a"}},
		})}},
		"installation that is there twice": {{Name: contactName(owner, peer), Value: marshal(&record.Contact{
			Installations: []*record.Installation{{Id: "a"}, {Id: "a"}},
		})}},
		"installation that is no record": {
			{Name: contactName(owner, peer), Value: contact},
			{Name: installationName(owner, peer, "a"), Value: []byte("\xff")},
		},
		"prekey of 3 bytes": {
			{Name: contactName(owner, peer), Value: contact},
			{Name: installationName(owner, peer, "a"), Value: marshal(&record.Installation{Id: "a", SignedPreKey: []byte("abc")})},
		},
	} {
		store := memory.New()
		if err := store.Apply(t.Context(), persistence.Batch{Records: records}); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadContact(t.Context(), store, owner, peer); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, value := range map[string][]byte{
		"no record": []byte("\xff"),
		"empty":     nil,
		"short id":  marshal(&record.Outbox{MessageId: make([]byte, 31), Recipient: peer[:]}),
		"no peer":   marshal(&record.Outbox{MessageId: make([]byte, 32)}),
	} {
		if _, err := DecodeOutgoing(value); !errors.Is(err, ErrCorrupt) {
			t.Errorf("outbox, %s: got %v", name, err)
		}
		if _, err := DecodeReceived(value); !errors.Is(err, ErrCorrupt) {
			t.Errorf("inbox, %s: got %v", name, err)
		}
	}
}

func FuzzDecodeContact(f *testing.F) {
	c := Contact{Identity: peer, FirstSeen: 1, Standing: Accepted, ForwardSecrecy: true, Seen: [][sha256.Size]byte{{1}}}
	c = c.put(Installation{ID: "a", Entry: entry(1, 2, 3), ProtocolVersion: 4, Enabled: true, Active: 5, FirstSeen: 6, Signed: 8, OmittedSince: 7, Stale: true})
	c = c.put(Installation{ID: "b"})
	f.Add(c.AppendValue(nil))
	f.Add([]byte{})
	load := func(t *testing.T, value []byte) (Contact, error) {
		store := memory.New()
		apply(t, store, persistence.Record{Name: contactName(owner, peer), Value: value})
		return LoadContact(t.Context(), store, owner, peer)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := load(t, value)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if same, err := load(t, c.AppendValue(nil)); err != nil || !reflect.DeepEqual(same, c) {
			t.Fatalf("%v: %+v became %+v", err, c, same)
		}
	})
}

func FuzzDecodeOutgoing(f *testing.F) {
	o := Outgoing{ID: MessageID{1}, Recipient: peer, Message: []byte("message"), Created: 7}
	good := o.AppendValue(nil)
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		o, err := DecodeOutgoing(value)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again := o.AppendValue(nil)
		if same, err := DecodeOutgoing(again); err != nil || !reflect.DeepEqual(same, o) {
			t.Fatalf("%v: %+v became %+v", err, o, same)
		}
	})
}

func FuzzDecodeReceived(f *testing.F) {
	m := MessageReceived{ID: MessageID{1}, Sender: peer, Installation: "a", Payload: []byte("x"), Received: 9, Recipient: peer, Request: true, Chat: "c"}
	good := m.AppendValue(nil)
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		m, err := DecodeReceived(value)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again := m.AppendValue(nil)
		if same, err := DecodeReceived(again); err != nil || !reflect.DeepEqual(same, m) {
			t.Fatalf("%v: %+v became %+v", err, m, same)
		}
	})
}
