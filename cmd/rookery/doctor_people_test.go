package main

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/x3dh"
)

// What works has no warning; the doctor writes nothing.
func TestDoctorHasNothingAgainstWhatWorks(t *testing.T) {
	p := newPerson(t)
	p.new()
	before := bytesOf(t, p.dir)
	status, text, _ := p.doctored()
	if status != 0 {
		t.Errorf("status %d: %s", status, text)
	}
	golden(t, "doctor_fine", text, p.dir, "DIR")
	if bytesOf(t, p.dir) != before {
		t.Error("a file has changed")
	}
}

// What is wrong with people is said, each with what to do and what happens next.
func TestDoctorSaysWhatIsWrongWithPeople(t *testing.T) {
	alice, bob, carol, dave := newPerson(t), newPerson(t), newPerson(t), newPerson(t)
	alice.new()
	alice.does("contact", "add", bob.new()) // and no more than the key
	daveKey, carolKey := dave.new(), carol.new()
	alice.does("contact", "add", carol.code())
	alice.does("contact", "add", dave.code())
	alice.does("device", "disable", "--contact="+carolKey, device0(t, alice, carolKey))
	l := dave.listens("--json", "--count=1", "--no-ack")
	alice.says(daveKey, "hello")
	l.ends(0)

	status, text, found := alice.doctored(over("memory"))
	if status != exitBadResult {
		t.Errorf("status %d", status)
	}
	finds(t, found, warning, "contacts", "1 without a device that is known")
	finds(t, found, warning, "contacts", "1 without a device that can be written to")
	finds(t, found, warning, "network", "memory is inside of one process")
	golden(t, "doctor_people", text, alice.dir, "DIR")

	const week = 7 * 24 * time.Hour
	_, _, found = alice.doctored(later(week - time.Hour))
	without(t, found, note, "contacts", "have not answered")
	_, _, found = alice.doctored(later(week + time.Hour))
	finds(t, found, note, "contacts", "1 that have not answered for a week: "+daveKey[:8])

	_, _, found = dave.doctored()
	finds(t, found, note, "contacts", "1 wait for an answer")
	finds(t, found, note, "inbox", "1 messages are not acknowledged")
}

// Messages that no network has taken are told of, and after a while warned of.
func TestDoctorSaysForHowLongMessagesWait(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	alice.new()
	bobKey := bob.new()
	alice.does("contact", "add", bob.code())
	store := opened(t, alice.dir, alice.key)
	us, err := storedIdentities(t.Context(), store, refuse)
	if err != nil {
		t.Fatal(err)
	}
	to, err := rookery.ParsePublicKey(bobKey)
	if err != nil {
		t.Fatal(err)
	}
	m := deviceactor.Outgoing{ID: deviceactor.MessageID{1}, Recipient: to, Message: []byte("sealed"), Created: time.Now().UnixNano()}
	change(t, store, persistence.Record{Name: m.Record(us[0].owner).Name, Value: m.AppendValue(nil)})
	closed(t, store)
	_, _, found := alice.doctored()
	finds(t, found, note, "outbox", "1 messages wait for a network")
	_, _, found = alice.doctored(later(time.Hour))
	finds(t, found, warning, "outbox", "1 messages were not taken by a network, the oldest for 1h0m0s")
}

// Who has published by a command has published, also if that ended at once.
func TestDoctorKnowsWhatACommandHasPublished(t *testing.T) {
	p := newPerson(t)
	p.new("--transport=memory")
	_, _, found := p.doctored(later(2 * time.Hour))
	finds(t, found, fine, "bundle", "published")
}

// bundleTimes are moments in the life of a bundle.
const (
	bundleMade = int64(20_000 * 24 * time.Hour) // when it is signed, ns
	aMinute    = int64(time.Minute)
	anHour     = int64(time.Hour)
	aDay       = 24 * anHour
)

// What is said of a bundle depends on what has become of it and on the time alone.
func TestDoctorJudgesABundle(t *testing.T) {
	private, err := x3dh.GenerateIdentity(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host := bundleactor.Installation{Identity: &private, ID: "this", Schedule: bundleactor.DefaultSchedule()}
	us := storedIdentity{owner: persistence.OwnerID{1}, key: private.Public(), installation: "this"}
	type step func(s bundleactor.State, store persistence.Store) bundleactor.State
	keeps := func(s bundleactor.State, c bundleactor.Change, store persistence.Store) bundleactor.State {
		records, err := s.Records(us.owner, c)
		if err != nil {
			t.Fatal(err)
		}
		change(t, store, records...)
		return s
	}
	signed := func(at int64, siblings ...bundleactor.Sibling) step {
		return func(s bundleactor.State, store persistence.Store) bundleactor.State {
			next, c, err := s.Renew(host, siblings, bundleactor.Asked, at, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return keeps(next, c, store)
		}
	}
	taken := func(at int64) step {
		return func(s bundleactor.State, store persistence.Store) bundleactor.State {
			next, c := s.Taken(&s.Bundle, at)
			return keeps(next, c, store)
		}
	}
	key, err := x3dh.GeneratePreKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sibling := bundleactor.Sibling{InstallationID: "other", Key: key.Public(), Version: 1}
	for _, c := range []struct {
		name  string
		steps []step
		now   int64
		want  severity
		says  string
	}{
		{"none", nil, bundleMade, note, "none was signed yet"},
		{"made just now", []step{signed(bundleMade)}, bundleMade + aMinute, note, "no network has taken it yet"},
		{"never published", []step{signed(bundleMade)}, bundleMade + 2*anHour, warning, "no network has ever taken"},
		{"published", []step{signed(bundleMade), taken(bundleMade + aMinute)}, bundleMade + 3*anHour, fine, "published 2h59m0s ago"},
		{
			"changed and not published",
			[]step{signed(bundleMade), taken(bundleMade), signed(bundleMade+anHour, sibling)},
			bundleMade + 4*anHour, warning, "the newest one is not published, 3h0m0s after",
		},
		{
			"changed just now",
			[]step{signed(bundleMade), taken(bundleMade), signed(bundleMade+anHour, sibling)},
			bundleMade + anHour + aMinute, fine, "published",
		},
		{"old", []step{signed(bundleMade), taken(bundleMade)}, bundleMade + aDay + anHour, note, "its prekey is 25h0m0s old"},
		{"too old", []step{signed(bundleMade), taken(bundleMade)}, bundleMade + 16*aDay, warning, "cannot start sessions any more"},
		{"of a time to come", []step{signed(bundleMade)}, bundleMade - anHour, warning, "1h0m0s from now: the clock has gone back"},
		{"doubted", []step{signed(bundleMade), signed(bundleMade - 3*aDay)}, bundleMade - 3*aDay + anHour, warning, "for 1h0m0s the clock has contradicted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, s := memory.New(), bundleactor.State{}
			for _, does := range c.steps {
				s = does(s, store)
			}
			var r doctorResult
			if err := (identityReport{&r, us, c.now, nil}).bundle(t.Context(), store); err != nil {
				t.Fatal(err)
			}
			finds(t, r.Findings, c.want, "bundle", c.says)
			if len(r.Findings) != 1 {
				t.Errorf("found %+v", r.Findings)
			}
		})
	}
}

// A contact is counted once for each thing that is so with it, however many devices it
// has; and by what sending does at the moment.
func TestDoctorCountsContactsByTheirDevices(t *testing.T) {
	const now = int64(20_000 * 24 * time.Hour)
	us := storedIdentity{owner: persistence.OwnerID{1}, key: someKey(t), installation: "this"}
	usable := func(id string) *record.Installation {
		key, err := x3dh.GeneratePreKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public := key.Public()
		return &record.Installation{Id: id, Enabled: true, SignedPreKey: public[:], Version: 1, Timestamp: now - aDay, FirstSeen: 1, Signed: now - aDay}
	}
	with := func(in *record.Installation, change func(*record.Installation)) *record.Installation {
		change(in)
		return in
	}
	waiting := func(id string) *record.Installation {
		return with(usable(id), func(in *record.Installation) { in.Enabled = false })
	}
	leftOut := func(id string, told bool) *record.Installation {
		return with(usable(id), func(in *record.Installation) { in.OmittedSince, in.Stale = now-8*aDay, told })
	}
	for _, c := range []struct {
		name    string
		contact *record.Contact
		devices []*record.Installation
		want    string // which lists it is on
	}{
		{"well", &record.Contact{Standing: 2}, []*record.Installation{usable("a"), usable("b")}, ""},
		{"unknown", &record.Contact{Standing: 2}, nil, "unknown"},
		{"a request", &record.Contact{Standing: 1}, []*record.Installation{usable("a")}, "asking"},
		{"blocked", &record.Contact{Standing: 2, Blocked: true}, []*record.Installation{waiting("a")}, ""},
		{"two wait", &record.Contact{Standing: 2}, []*record.Installation{usable("a"), waiting("b"), waiting("c")}, "waiting"},
		{"only those wait", &record.Contact{Standing: 2}, []*record.Installation{waiting("b"), waiting("c")}, "unreachable waiting"},
		{"stale, as nobody was told yet", &record.Contact{Standing: 2}, []*record.Installation{leftOut("a", false)}, "unreachable"},
		{"stale", &record.Contact{Standing: 2}, []*record.Installation{leftOut("a", true)}, "unreachable"},
		{"told to be stale, and back", &record.Contact{Standing: 2}, []*record.Installation{
			with(usable("a"), func(in *record.Installation) { in.Stale = true }),
		}, ""},
		{"no bundle", &record.Contact{Standing: 2}, []*record.Installation{{Id: "a", Enabled: true, FirstSeen: 1}}, "unreachable"},
		{"a bundle that is too old", &record.Contact{Standing: 2}, []*record.Installation{
			with(usable("a"), func(in *record.Installation) { in.Timestamp, in.Signed = now-30*aDay, now-30*aDay }),
		}, "unreachable"},
		{"only those that are too many can be written to", &record.Contact{Standing: 2}, []*record.Installation{
			{Id: "a", Enabled: true, FirstSeen: 1, Active: 9},
			{Id: "b", Enabled: true, FirstSeen: 1, Active: 9},
			{Id: "c", Enabled: true, FirstSeen: 1, Active: 9},
			usable("d"),
		}, "unreachable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, peer := memory.New(), someKey(t)
			c.contact.Identity, c.contact.FirstSeen, c.contact.Whole, c.contact.Installations = peer[:], 1, true, c.devices
			value, err := proto.Marshal(c.contact)
			if err != nil {
				t.Fatal(err)
			}
			change(t, store, persistence.Record{Name: persistence.NewName(persistence.KindContact, us.owner[:], peer[:]), Value: value})
			var found crowd
			if err := found.take(t.Context(), store, identityReport{new(doctorResult), us, now, nil}, peer); err != nil {
				t.Fatal(err)
			}
			var on []string
			for name, list := range map[string][]string{
				"asking": found.asking, "unknown": found.unknown, "unreachable": found.unreachable, "waiting": found.waiting, "unanswered": found.unanswered,
			} {
				for range list {
					on = append(on, name)
				}
			}
			slices.Sort(on)
			if got := strings.Join(on, " "); got != c.want || found.all != 1 {
				t.Errorf("it is %q, want %q", got, c.want)
			}
		})
	}
}

func someKey(t *testing.T) rookery.PublicKey {
	t.Helper()
	private, err := x3dh.GenerateIdentity(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private.Public()
}

// Devices of our own that wait are warned of; this one, and those that were decided
// about, are not.
func TestDoctorSaysThatDevicesOfOursWait(t *testing.T) {
	us := storedIdentity{owner: persistence.OwnerID{1}, key: someKey(t), installation: "this"}
	store := memory.New()
	own := &record.Contact{Identity: us.key[:], FirstSeen: 1, Whole: true}
	for _, id := range []string{"denied", "enabled", "this", "waits"} {
		own.Installations = append(own.Installations, &record.Installation{Id: id, FirstSeen: 1, Enabled: id == "enabled", Denied: id == "denied"})
	}
	value, err := proto.Marshal(own)
	if err != nil {
		t.Fatal(err)
	}
	change(t, store, persistence.Record{Name: persistence.NewName(persistence.KindContact, us.owner[:], us.key[:]), Value: value})
	var r doctorResult
	if err := (identityReport{&r, us, 1, make(map[string]damage)}).contacts(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	finds(t, r.Findings, warning, "devices", "1 of its own wait for approval: waits")
	finds(t, r.Findings, fine, "contacts", "0 are known")
}
