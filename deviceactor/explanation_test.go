package deviceactor

import (
	"context"
	"encoding/binary"
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
	x, err := Explain(t.Context(), store, persistence.OwnerID{}, x3dh.IdentityPublicKey{2}, "this", x3dh.IdentityPublicKey{3}, 1)
	if err != nil || x.Unsent != MaxCounted || x.Unacknowledged != MaxCounted {
		t.Errorf("%d and %d, %v", x.Unsent, x.Unacknowledged, err)
	}
	if store.read[persistence.KindOutbox] != MaxCounted || store.read[persistence.KindInbox] != MaxCounted {
		t.Errorf("read %v", store.read)
	}
}
