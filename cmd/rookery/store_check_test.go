package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/proto/record"
)

// checked runs the check and gives what it says.
func checked(t *testing.T, dir, key string) (status int, result checkResult) {
	t.Helper()
	status, out, _ := command(t, "store", "check", dir, "--key-file", key, "--json")
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("status %d: %v in %q", status, err, out)
	}
	return status, result
}

// all gives the names and values of a store.
func all(t *testing.T, store persistence.Store) (records []persistence.Record) {
	t.Helper()
	err := store.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		records = append(records, persistence.Record{Name: name, Value: slices.Clone(value)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func change(t *testing.T, store persistence.Store, records ...persistence.Record) {
	t.Helper()
	if err := store.Apply(t.Context(), persistence.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

// TestCheckFindsEveryRecordThatCannotBeDecoded: one record of each kind, well
// sealed, with a value that its owner did not write.
func TestCheckFindsEveryRecordThatCannotBeDecoded(t *testing.T) {
	dir, key := lived(t)
	store := opened(t, dir, key)
	var broken []string
	seen := make(map[persistence.Kind]bool)
	for _, r := range slices.Backward(all(t, store)) {
		if kind := r.Name.Kind(); !seen[kind] && kind != persistence.KindFence && kind != persistence.KindIdentity && kind != persistence.KindContact {
			seen[kind] = true
			r.Value = []byte("\xff\xff\xff")
			change(t, store, r)
			broken = append(broken, r.Name.String())
		}
	}
	closed(t, store)
	status, result := checked(t, dir, key)
	if status != exitBadResult || result.OK || result.Records != 50 {
		t.Errorf("status %d: %+v", status, result)
	}
	found := make(map[string]bool)
	for _, f := range result.Findings {
		found[f.Record] = !f.Orphan
	}
	for _, name := range broken {
		if !found[name] {
			t.Errorf("%s is not among %v", name, result.Findings)
		}
	}
	if len(broken) < 7 {
		t.Errorf("only %d kinds: %v", len(broken), broken)
	}
}

// TestCheckFindsEveryRecordThatIsNotAuthentic and goes on behind it: one bit
// changed on the disk, in any record.
func TestCheckFindsEveryRecordThatIsNotAuthentic(t *testing.T) {
	dir, key := lived(t)
	below, err := pebble.Open(filepath.Join(dir, "records"), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var broken []string
	for i, r := range all(t, below) {
		own := r.Name.Kind() == persistence.KindFence || r.Name.Kind() == persistence.KindHead
		if i%5 == 0 && !own && r.Name.Kind() != persistence.KindContact && r.Name.Kind() != persistence.KindIdentity {
			r.Value[len(r.Value)-1-i%len(r.Value)] ^= 1
			change(t, below, r)
			broken = append(broken, r.Name.String())
		}
	}
	closed(t, below)
	status, result := checked(t, dir, key)
	if status != exitBadResult || result.Records != 50 || len(broken) < 5 {
		t.Errorf("status %d, %d records, %d broken", status, result.Records, len(broken))
	}
	var found []string
	for _, f := range result.Findings {
		if strings.Contains(f.Problem, "corrupt") {
			found = append(found, f.Record)
		}
	}
	for _, name := range broken {
		if !slices.Contains(found, name) {
			t.Errorf("%s is not among %v", name, found)
		}
	}
}

// TestCheckFindsOrphans: what nothing leads to any more, and what stands under
// another name than its own.
func TestCheckFindsOrphans(t *testing.T) {
	first := func(records []persistence.Record, kind persistence.Kind) persistence.Record {
		i := slices.IndexFunc(records, func(r persistence.Record) bool { return r.Name.Kind() == kind })
		return records[i]
	}
	moved := func(r persistence.Record, part int, to string) persistence.Record {
		parts, err := r.Name.Parts()
		if err != nil {
			t.Fatal(err)
		}
		parts[part] = []byte(to)
		return persistence.Record{Name: persistence.NewName(r.Name.Kind(), parts...), Value: r.Value}
	}
	const nobody = "0123456789abcdef"
	for _, c := range []struct {
		name   string
		change func(records []persistence.Record) persistence.Record
		want   string
		orphan bool
	}{
		{"session without its contact", func(r []persistence.Record) persistence.Record {
			return persistence.Record{Name: first(r, persistence.KindContact).Name, Delete: true}
		}, "its contact is missing", true},
		{"skipped key without its session", func(r []persistence.Record) persistence.Record {
			parts, err := first(r, persistence.KindSkipped).Name.Parts()
			if err != nil {
				t.Fatal(err)
			}
			return persistence.Record{Name: persistence.NewName(persistence.KindSession, parts[:4]...), Delete: true}
		}, "its session is missing", true},
		{"contact of nobody", func(r []persistence.Record) persistence.Record {
			return moved(first(r, persistence.KindContact), 0, nobody)
		}, "is not hosted", true},
		{"message for nobody", func(r []persistence.Record) persistence.Record {
			return moved(first(r, persistence.KindInbox), 0, nobody)
		}, "is not hosted", true},
		{"identity under another name", func(r []persistence.Record) persistence.Record {
			return moved(first(r, persistence.KindIdentity), 0, nobody)
		}, "another installation than its name says", false},
		{"installation under another name", func(r []persistence.Record) persistence.Record {
			return moved(first(r, persistence.KindInstallation), 2, nobody)
		}, "another installation than its name says", false},
		{"installation that its contact does not read any more", func(r []persistence.Record) persistence.Record {
			parts, err := first(r, persistence.KindInstallation).Name.Parts()
			if err != nil {
				t.Fatal(err)
			}
			name := persistence.NewName(persistence.KindContact, parts[:2]...)
			value, err := proto.Marshal(&record.Contact{Identity: parts[1], FirstSeen: 1, Whole: true})
			if err != nil {
				t.Fatal(err)
			}
			return persistence.Record{Name: name, Value: value}
		}, "its contact has all installations with it", true},
		{"message under another name", func(r []persistence.Record) persistence.Record {
			return moved(first(r, persistence.KindOutbox), 2, nobody)
		}, "another message than its name says", false},
		{"dropped message under another name", func(r []persistence.Record) persistence.Record {
			parts, err := first(r, persistence.KindOutbox).Name.Parts()
			if err != nil {
				t.Fatal(err)
			}
			value, err := proto.Marshal(&record.Receipt{MessageId: parts[2], Sent: 1, Dropped: true})
			if err != nil {
				t.Fatal(err)
			}
			return persistence.Record{Name: persistence.NewName(persistence.KindReceipt, parts[0], parts[1], []byte(nobody)), Value: value}
		}, "another message than its name says", false},
		{"contact that is no point of the curve", func(r []persistence.Record) persistence.Record {
			return moved(first(r, persistence.KindContact), 1, nobody)
		}, "key", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, key := lived(t)
			store := opened(t, dir, key)
			change(t, store, c.change(all(t, store)))
			closed(t, store)
			status, result := checked(t, dir, key)
			want := exitBadResult
			if c.orphan {
				want = 0
			}
			if status != want || result.OK != c.orphan || !slices.ContainsFunc(result.Findings, func(f finding) bool {
				return strings.Contains(f.Problem, c.want) && f.Orphan == c.orphan
			}) {
				t.Errorf("status %d, findings %v", status, result.Findings)
			}
		})
	}
}

// Stores of every released format are in order.
func TestCheckKnowsEveryReleasedFormat(t *testing.T) {
	formats, err := os.ReadDir(goldenStores)
	if err != nil || len(formats) < 2 {
		t.Fatalf("%d formats, %v", len(formats), err)
	}
	for _, format := range formats {
		dir, key := copiedStore(t, filepath.Join(goldenStores, format.Name()))
		if status, result := checked(t, dir, key); status != 0 || !result.OK || result.Orphans != 0 || result.Records < 40 {
			t.Errorf("%s: status %d: %+v", format.Name(), status, result)
		}
	}
}

// What an interrupted creation of an identity leaves is no reason to worry.
func TestCheckTakesPrekeysWithoutAnIdentityAsTheyAre(t *testing.T) {
	dir, key := lived(t)
	store := opened(t, dir, key)
	for _, r := range all(t, store) {
		if kind := r.Name.Kind(); kind == persistence.KindPrekey || kind == persistence.KindPublication {
			parts, err := r.Name.Parts()
			if err != nil {
				t.Fatal(err)
			}
			parts[0] = []byte("0123456789abcdef")
			r.Name = persistence.NewName(kind, parts...)
			change(t, store, r)
		}
	}
	closed(t, store)
	if status, result := checked(t, dir, key); status != 0 || !result.OK || result.Orphans != 0 {
		t.Errorf("status %d: %+v", status, result)
	}
}
