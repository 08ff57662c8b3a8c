package deviceactor

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

// crowded is a store in which a great many messages wait. It counts what is read.
type crowded struct{ read map[persistence.Kind]int }

func (crowded) Get(context.Context, persistence.Name) ([]byte, error) {
	return nil, persistence.ErrNotFound
}

func (c crowded) Scan(_ context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error {
	kind := prefix.Kind()
	if kind != persistence.KindOutbox && kind != persistence.KindInbox {
		return nil
	}
	for n := range uint32(10 * MaxCounted) {
		c.read[kind]++
		if err := fn(persistence.NewName(kind, binary.BigEndian.AppendUint32(nil, n)), nil); err != nil {
			return err
		}
	}
	return nil
}

func TestExplainCountsUpToABound(t *testing.T) {
	store := crowded{make(map[persistence.Kind]int)}
	x, err := Explain(t.Context(), store, persistence.OwnerID{}, View{Own: x3dh.IdentityPublicKey{2}, Installation: "this"}, x3dh.IdentityPublicKey{3}, 1)
	if err != nil || x.Unsent != MaxCounted || x.Unacknowledged != MaxCounted {
		t.Errorf("%d and %d, %v", x.Unsent, x.Unacknowledged, err)
	}
	if store.read[persistence.KindOutbox] != MaxCounted || store.read[persistence.KindInbox] != MaxCounted {
		t.Errorf("read %v", store.read)
	}
}

// What Explain says of each installation is what Targets does, at the time that it is
// asked for: that the application was told of a stale one does not count.
func TestExplainSaysWhyAMessageDoesNotGoToAnInstallation(t *testing.T) {
	const now = 100 * staleAfter
	v := View{Own: x3dh.IdentityPublicKey{2}, Installation: "this", MaxInstallations: 2}
	c := Contact{Identity: x3dh.IdentityPublicKey{3}, Installations: []Installation{
		{ID: "a", Enabled: true, Active: 9},
		{ID: "b", Enabled: true, Active: 7},
		{ID: "c", Enabled: true, Active: 8},
		{ID: "d", Enabled: true, Active: 10, OmittedSince: now - staleAfter},
		{ID: "e", Enabled: true, Active: 6, OmittedSince: now - staleAfter/2, Stale: true},
		{ID: "f", Denied: true, Active: 11},
		{ID: "g", Active: 12},
	}}
	want := []Exclusion{Included, ByNumber, Included, ByAge, ByNumber, ByDecision, ByWaiting}
	if got := c.exclusions(v, now); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := c.exclusions(v, now-1); got[3] != Included || got[2] != ByNumber {
		t.Errorf("a moment before d is stale: %v", got)
	}
	all := func(x []Exclusion, want Exclusion) bool {
		return !slices.ContainsFunc(x, func(e Exclusion) bool { return e != want })
	}
	c.Blocked = true
	if got := c.exclusions(v, now); !all(got, ByBlock) {
		t.Errorf("blocked: %v", got)
	}
	v.Retired = true
	if got := c.exclusions(v, now); !all(got, ByRetirement) {
		t.Errorf("from a retired installation: %v", got)
	}
}
