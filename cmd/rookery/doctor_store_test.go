package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
)

// Records that cannot be read are an error; who else is in the store is looked at all
// the same.
func TestDoctorSaysWhatCannotBeRead(t *testing.T) {
	for _, kind := range []persistence.Kind{
		persistence.KindIdentity, persistence.KindPrekey, persistence.KindContact, persistence.KindSession, persistence.KindOutbox, persistence.KindPublication,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			dir, key := lived(t)
			p := person{t, dir, key}
			_, _, before := p.doctored()
			store := opened(t, dir, key)
			records := all(t, store)
			broken := records[slices.IndexFunc(records, func(r persistence.Record) bool { return r.Name.Kind() == kind })]
			broken.Value = []byte("\xff\xff\xff")
			change(t, store, broken)
			closed(t, store)
			status, text, found := p.doctored()
			if status != exitError {
				t.Errorf("status %d", status)
			}
			finds(t, found, failure, "store", fmt.Sprintf("of %d records cannot be read", len(records)-fences(records)))
			about := map[persistence.Kind]string{
				persistence.KindIdentity: "identity", persistence.KindPrekey: "bundle", persistence.KindContact: "contacts",
				persistence.KindSession: "contacts", persistence.KindOutbox: "outbox", persistence.KindPublication: "bundle",
			}[kind]
			finds(t, found, failure, about, "1 cannot be read")
			people := func(found []diagnosis) (all []string) {
				for _, d := range found {
					if d.Of != "" && !slices.Contains(all, d.Of) {
						all = append(all, d.Of)
					}
				}
				return all
			}
			lost := 0
			if kind == persistence.KindIdentity {
				lost = 1
			}
			if got, want := len(people(found)), len(people(before))-lost; want == 0 || got != want {
				t.Errorf("%d people, want %d:\n%s", got, want, text)
			}
		})
	}
}

func fences(records []persistence.Record) (n int) {
	for _, r := range records {
		if r.Name.Kind() == persistence.KindFence {
			n++
		}
	}
	return n
}

// However many orphans there are, they are no damage, to the doctor as to the check.
func TestOrphansAreNoDamage(t *testing.T) {
	dir, key := lived(t)
	store := opened(t, dir, key)
	records := all(t, store)
	message := records[slices.IndexFunc(records, func(r persistence.Record) bool { return r.Name.Kind() == persistence.KindInbox })]
	parts, err := message.Name.Parts()
	if err != nil {
		t.Fatal(err)
	}
	var orphans []persistence.Record
	for n := range maxFindings + 1 {
		parts[0] = fmt.Appendf(nil, "%0*d", len(persistence.OwnerID{}), n)
		orphans = append(orphans, persistence.Record{Name: persistence.NewName(persistence.KindInbox, parts...), Value: message.Value})
	}
	change(t, store, orphans...)
	closed(t, store)
	_, _, found := person{t, dir, key}.doctored()
	finds(t, found, note, "store", fmt.Sprintf("to %d of them nothing leads", len(orphans)))
	without(t, found, failure, "store", "")
	status, result := checked(t, dir, key)
	if status != 0 || !result.OK || result.Wrong != 0 || result.Orphans != uint64(len(orphans)) || len(result.Findings) != maxFindings {
		t.Errorf("status %d, %d wrong, %d orphans, %d listed", status, result.Wrong, result.Orphans, len(result.Findings))
	}
}

// A store of a process that was killed has keys that open what was used up; how long ago
// that began is said. One that was closed has none, however old it is.
func TestDoctorSaysThatAStoreWasNotClosed(t *testing.T) {
	p := newPerson(t)
	p.new()
	const said = "it was not closed in order"
	_, _, found := p.doctored(later(100 * 24 * time.Hour))
	without(t, found, warning, "store", said)
	store := opened(t, p.dir, p.key)
	if err := store.Rotate(t.Context()); err != nil { // as in an hour of its life: there is one epoch
		t.Fatal(err)
	}
	change(t, store, all(t, store)[0])
	copied, key := copiedStore(t, filepath.Dir(p.dir)) // as the disk is when the process is killed now
	closed(t, store)
	killed := person{t, copied, key}
	_, _, found = killed.doctored()
	finds(t, found, warning, "store", said)
	_, _, found = killed.doctored(later(3 * time.Hour))
	finds(t, found, warning, "store", "in the last 3h")
	says(t, 0, "keys destroyed", "store", "rekey", copied, "--key-file", key) // as it says
	_, _, found = killed.doctored()
	without(t, found, warning, "store", said)
}

// A store that has gone back is told of, and then the devices that were replaced, with
// what waits of them.
func TestDoctorSaysThatAStoreHasGoneBack(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	alice.new()
	bobKey := bob.new()
	alice.does("contact", "add", bob.code())
	l := bob.listens("--json", "--count=1", "--no-ack")
	alice.says(bobKey, "hello")
	l.ends(0)
	if err := os.Remove(filepath.Join(bob.dir, "anchor")); err != nil {
		t.Fatal(err)
	}
	status, _, found := bob.doctored()
	if status != exitBadResult {
		t.Errorf("status %d", status)
	}
	finds(t, found, warning, "store", "it was restored, or has gone back")
	bob.does("identity", "list")
	_, _, found = bob.doctored()
	without(t, found, warning, "store", "")
	finds(t, found, note, "identity", "its device was replaced by")
	finds(t, found, note, "inbox", "1 messages are not acknowledged")
}
