package leakscan

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
)

// Store is a store of which all keys and plaintexts are secrets: those that it is
// given, and those that lie between two states of a session.
func (s *Scanner) Store(of persistence.Store) persistence.Store {
	if s.idle {
		return of
	}
	book := NewBook()
	book.Learned = func(key Secret) { s.Key(key[:]) }
	if r, ok := of.(recovering); ok {
		return struct {
			*read
			recovering
		}{&read{of, s, book}, r}
	}
	return &read{of, s, book}
}

// recovering is what a store that can go back knows of it.
type recovering interface {
	Recovery() (number uint64, pending bool)
	Recovered(ctx context.Context) error
}

type read struct {
	persistence.Store
	scanner *Scanner
	book    *Book
}

// Apply implements persistence.Store.
func (r *read) Apply(ctx context.Context, batch persistence.Batch) error {
	r.book.Read(batch)
	for _, one := range batch.Records {
		switch one.Name.Kind() {
		case persistence.KindIdentity:
			var i record.Identity
			if proto.Unmarshal(one.Value, &i) == nil {
				r.scanner.Key(i.GetIdentityKey())
			}
		case persistence.KindTopicKey:
			var k record.TopicKey
			if proto.Unmarshal(one.Value, &k) == nil {
				r.scanner.Key(k.GetKey())
			}
		default:
		}
	}
	return r.Store.Apply(ctx, batch)
}
