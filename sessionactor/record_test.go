package sessionactor

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/ratchet"
)

// shelf is a Reader of its own records.
type shelf struct {
	values map[persistence.Name][]byte
	err    error // of the next scan
	scans  int
	gets   int
}

func newShelf() *shelf { return &shelf{values: make(map[persistence.Name][]byte)} }

func (s *shelf) apply(records []persistence.Record) {
	persistence.Encode(records)
	for _, r := range records {
		if r.Delete {
			delete(s.values, r.Name)
		} else {
			s.values[r.Name] = r.Value
		}
	}
}

func (s *shelf) put(tb testing.TB, of *side, change Change) {
	tb.Helper()
	records := of.place().Records(change, &of.sessions)
	s.apply(records)
}

func (s *shelf) load(tb testing.TB, of *side) Sessions {
	tb.Helper()
	loaded, err := Load(tb.Context(), s, of.place(), ID{})
	if err != nil {
		tb.Fatal(err)
	}
	scans := s.scans
	defer func() { s.scans = scans }()
	hints := []ID{{1, 2, 3}}
	for i := range loaded.List {
		hints = append(hints, loaded.List[i].ID)
	}
	for _, hint := range hints { // right or wrong
		again, err := Load(tb.Context(), s, of.place(), hint)
		if err != nil || fingerprint(again) != fingerprint(loaded) {
			tb.Fatalf("looked up from %v: %v,\n%s\nwant\n%s", hint, err, fingerprint(again), fingerprint(loaded))
		}
	}
	return loaded
}

func (s *shelf) Get(_ context.Context, name persistence.Name) ([]byte, error) {
	s.gets++
	value, ok := s.values[name]
	if !ok {
		return nil, persistence.ErrNotFound
	}
	return value, nil
}

func (s *shelf) Scan(_ context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	s.scans++
	if err := s.err; err != nil {
		s.err = nil
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if strings.HasPrefix(string(name), string(prefix)) {
			if err := fn(name, s.values[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *side) place() Place {
	return Place{Owner: persistence.NewOwnerID(s.ends.Own[:], s.ends.OwnInstallation), Ends: s.ends}
}

// Every state that a conversation goes through is the same after a restart.
func TestSessionsComeBackFromTheirRecords(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	stored := map[*side]*shelf{alice: newShelf(), bob: newShelf()}
	now := int64(100)
	check := func(s *side, step func() (Sessions, Change, error)) {
		t.Helper()
		now++
		before := s.sessions
		next, change, err := step()
		if err != nil {
			t.Fatal(err)
		}
		records := s.place().Records(change, &before)
		stored[s].apply(records)
		s.advance(t, next, change)
		loaded := stored[s].load(t, s)
		if got, want := fingerprint(loaded), fingerprint(s.sessions); got != want {
			t.Fatalf("loaded\n%s\nwant\n%s", got, want)
		}
		for i := range s.sessions.List {
			s.sessions.List[i].Ratchet.RemotePoint = nil // is not stored
		}
		if loaded.Active != s.sessions.Active || !reflect.DeepEqual(loaded.List, s.sessions.List) {
			t.Fatalf("loaded\n%+v\nwant\n%+v", loaded, s.sessions)
		}
		s.sessions = loaded // it goes on from the records alone
	}
	send := func(s *side, payload string) (p packet) {
		check(s, func() (Sessions, Change, error) {
			next, change, part, err := s.sessions.Send(&s.key, s.ends, s.outgoing(payload), now, s.rand)
			p = packet{part, s.entry(), payload}
			return next, change, err
		})
		return p
	}
	receive := func(s *side, p packet) {
		check(s, func() (Sessions, Change, error) {
			in := s.incoming(p)
			next, change, payload, err := s.sessions.Decrypt(&s.key, s.ends, in, limits(), now)
			if string(payload) != p.payload {
				t.Fatalf("got %q, want %q", payload, p.payload)
			}
			s.peer = in.Entry
			return next, change, err
		})
	}
	first := send(alice, "1")
	late := send(alice, "2")
	receive(bob, first)
	crossing := send(bob, "crossing")
	receive(bob, send(alice, "3"))
	receive(alice, crossing)
	bob.rotate(t, now)
	receive(alice, send(bob, "4"))
	receive(bob, send(alice, "on a new session"))
	receive(bob, late)
	receive(alice, send(bob, "5"))
	if len(bob.sessions.List) != 2 || bob.sessions.List[0].Status != Expired {
		t.Errorf("the conversation has not seen every status: %+v", bob.sessions)
	}
}

func TestSkippedKeyComesBackFromItsRecord(t *testing.T) {
	alice, bob := newPair(t, t.Name())
	stored := newShelf()
	first := alice.send(t, "1", 1)
	_ = alice.send(t, "2", 1)
	bob.receive(t, first, 1)
	in := bob.incoming(alice.send(t, "3", 1))
	_, change, _, err := bob.sessions.Decrypt(&bob.key, bob.ends, in, limits(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(change.Skipped.Add) != 1 {
		t.Fatalf("%d skipped keys", len(change.Skipped.Add))
	}
	stored.put(t, bob, change)
	want := change.Skipped.Add[0]
	got, err := decodeSkippedKey(stored.values[bob.place().skippedKey(change.Session, want.KeyRef)])
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// sample is a stored session of every field.
func sample(tb testing.TB) (*side, *record.Session) {
	tb.Helper()
	alice, bob := newPair(tb, "sample")
	converse(tb, alice, bob, 10)
	alice.send(tb, "x", 11)
	s := alice.active(tb)
	r := new(record.Session)
	if err := proto.Unmarshal((&storedSession{session: &s, active: true}).append(nil), r); err != nil {
		tb.Fatal(err)
	}
	return alice, r
}

func TestCorruptRecordIsReported(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(*record.Session)
	}{
		{"no ratchet", func(r *record.Session) { r.Ratchet = nil }},
		{"no root key", func(r *record.Session) { r.Ratchet.Root = make([]byte, 32) }},
		{"short root key", func(r *record.Session) { r.Ratchet.Root = r.Ratchet.Root[:31] }},
		{"short sending key", func(r *record.Session) { r.Ratchet.SendKey = nil }},
		{"ratchet key of 5 bytes", func(r *record.Session) { r.Ratchet.Remote = []byte("12345") }},
		{"no own ratchet key", func(r *record.Session) { r.Ratchet.SelfPublic = nil }},
		{"suite 0", func(r *record.Session) { r.Ratchet.Suite = 0 }},
		{"suite 257", func(r *record.Session) { r.Ratchet.Suite = 257 }},
		{"head of 3 bytes", func(r *record.Session) { r.Ratchet.RecvHead = []byte("abc") }},
		{"status 0", func(r *record.Session) { r.Status = 0 }},
		{"status 5", func(r *record.Session) { r.Status = 5 }},
		{"status 257", func(r *record.Session) { r.Status = 257 }},
		{"no prekey", func(r *record.Session) { r.SignedPreKey = nil }},
		{"long prekey", func(r *record.Session) { r.SignedPreKey = make([]byte, 34) }},
		{"no ephemeral key", func(r *record.Session) { r.Ephemeral = nil }},
		{"short order", func(r *record.Session) { r.Order = r.Order[:7] }},
		{"own prekey of 5 bytes", func(r *record.Session) { r.Own = &record.BundleStamp{SignedPreKey: []byte("12345")} }},
		{"seen messages of 15 bytes", func(r *record.Session) { r.Seen = make([]byte, 15) }},
		{"seen message that is none", func(r *record.Session) { r.Seen = make([]byte, seenSize) }},
		{"more seen messages than are kept", func(r *record.Session) { r.Seen = bytes.Repeat([]byte{1}, 9*seenSize) }},
		{"no bundle entry", func(r *record.Session) { r.MadeFrom = nil }},
		{"ids of other sessions of 17 bytes", func(r *record.Session) { r.Others = make([]byte, 17) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			alice, r := sample(t)
			test.spoil(r)
			value, err := proto.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			stored := newShelf()
			stored.values[alice.place().session(ID{1})] = value
			if _, err := Load(t.Context(), stored, alice.place(), ID{}); !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCorruptNamesAndBytesAreReported(t *testing.T) {
	alice, r := sample(t)
	good, err := proto.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	place := alice.place()
	id := ID{1}
	for _, test := range []struct {
		name   string
		values map[persistence.Name][]byte
	}{
		{"session that is no record", map[persistence.Name][]byte{place.session(id): []byte("\xff")}},
		{"session without an id", map[persistence.Name][]byte{place.sessions(): good}},
		{"session with a long id", map[persistence.Name][]byte{
			persistence.NewName(persistence.KindSession, place.Owner[:], place.Ends.Peer[:], []byte(place.Ends.PeerInstallation), make([]byte, 17)): good,
		}},
		{"name that is cut", map[persistence.Name][]byte{place.session(id) + "\x00": good}},
		{"skipped key that is no record", map[persistence.Name][]byte{
			place.session(id): good, place.skippedKey(id, ratchet.KeyRef{}): []byte("\xff"),
		}},
		{"skipped key without a key", map[persistence.Name][]byte{
			place.session(id): good, place.skippedKey(id, ratchet.KeyRef{}): nil,
		}},
	} {
		stored := newShelf()
		stored.values = test.values
		if _, err := Load(t.Context(), stored, place, ID{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

func TestUnreadableStoreIsNotCorrupt(t *testing.T) {
	alice, _ := newPair(t, t.Name())
	stored := newShelf()
	stored.err = persistence.ErrFailed
	if _, err := Load(t.Context(), stored, alice.place(), ID{}); !errors.Is(err, persistence.ErrFailed) || errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// Whatever decodes is a session that is stored as the same session.
func FuzzDecodeSession(f *testing.F) {
	_, r := sample(f)
	good, err := proto.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := decodeSession(new(Session), ID{1}, value)
		if err != nil {
			return
		}
		same, err := decodeSession(new(Session), ID{1}, s.append(nil))
		if err != nil || !reflect.DeepEqual(same, s) {
			t.Fatalf("%v: %+v became %+v", err, s, same)
		}
	})
}

func FuzzDecodeSkippedKey(f *testing.F) {
	good, err := proto.Marshal(&record.SkippedKey{Ratchet: make([]byte, 33), N: 7, Seq: 9, Key: make([]byte, 32)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		k, err := decodeSkippedKey(value)
		if err != nil {
			return
		}
		again, err := proto.Marshal(&record.SkippedKey{Ratchet: k.Ratchet.Bytes(), N: k.N, Seq: k.Seq, Key: k.Key.Bytes()})
		if err != nil {
			t.Fatal(err)
		}
		if same, err := decodeSkippedKey(again); err != nil || !reflect.DeepEqual(same, k) {
			t.Fatalf("%v: %+v became %+v", err, k, same)
		}
	})
}
