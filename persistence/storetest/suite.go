package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/persistence"
)

// Medium is one place that a store lies in.
type Medium struct {
	// Open opens the store, also again after it was closed.
	Open func() (persistence.Store, error)
	// Durable says that what was applied is there when it is opened again.
	Durable bool
}

// Run runs the suite; fresh makes an empty medium for each test.
func Run(t *testing.T, fresh func(t *testing.T) Medium) {
	for _, group := range []map[string]func(*bench){records, scans, walks, fences, lifetimes, concurrency} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				b := &bench{T: t, medium: fresh(t)}
				b.open()
				defer func() { b.ok(b.store.Close()) }()
				test(b)
			})
		}
	}
}

// bench is one test's store with the assertions that it needs.
type bench struct {
	*testing.T
	medium Medium
	store  persistence.Store
}

func (b *bench) open() {
	b.Helper()
	store, err := b.medium.Open()
	b.ok(err)
	b.store = store
}

// reopen closes the store and opens it again where that keeps the records, and
// leaves it as it is elsewhere: there too the records must be right.
func (b *bench) reopen() {
	b.Helper()
	if b.medium.Durable {
		b.ok(b.store.Close())
		b.open()
	}
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) is(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("got error %v, want %v", err, want)
	}
}

func (b *bench) apply(records ...persistence.Record) {
	b.Helper()
	b.ok(b.store.Apply(b.Context(), persistence.Batch{Records: records}))
}

func (b *bench) has(name persistence.Name, want string) {
	b.Helper()
	got, err := b.store.Get(b.Context(), name)
	b.ok(err)
	if !bytes.Equal(got, []byte(want)) {
		b.Fatalf("%s is %.40q, want %.40q", name, got, want)
	}
}

func (b *bench) hasNot(name persistence.Name) {
	b.Helper()
	value, err := b.store.Get(b.Context(), name)
	if !errors.Is(err, persistence.ErrNotFound) {
		b.Fatalf("%s: got %.40q and error %v, want ErrNotFound", name, value, err)
	}
}

// scanned lists what a scan shows, as "name=value".
func (b *bench) scanned(prefix persistence.Name) []string {
	b.Helper()
	var seen []string
	b.ok(b.store.Scan(b.Context(), prefix, func(name persistence.Name, value []byte) error {
		seen = append(seen, line(name, string(value)))
		return nil
	}))
	return seen
}

func (b *bench) shows(prefix persistence.Name, want ...string) {
	b.Helper()
	if got := b.scanned(prefix); fmt.Sprint(got) != fmt.Sprint(want) {
		b.Fatalf("scan of %s shows %q, want %q", prefix, got, want)
	}
}

func line(name persistence.Name, value string) string {
	return fmt.Sprintf("%q=%s", string(name), value)
}

func session(parts ...string) persistence.Name {
	raw := make([][]byte, len(parts))
	for i, part := range parts {
		raw[i] = []byte(part)
	}
	return persistence.NewName(persistence.KindSession, raw...)
}

func put(name persistence.Name, value string) persistence.Record {
	return persistence.Record{Name: name, Value: []byte(value)}
}

func del(name persistence.Name) persistence.Record {
	return persistence.Record{Name: name, Delete: true}
}
