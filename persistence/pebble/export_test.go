package pebble

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
)

// Adjusted gives options whose settings of Pebble are changed once more.
func Adjusted(o Options, adjust func(*pebble.Options)) Options {
	o.adjust = adjust
	return o
}

// Metrics are Pebble's own.
func (s *Store) Metrics() *pebble.Metrics { return s.now.db.Metrics() }

// Compact rewrites all tables.
func (s *Store) Compact(ctx context.Context) error {
	d, err := s.begin(ctx, "compact")
	if err != nil {
		return err
	}
	defer s.end(d)
	return d.db.Compact(ctx, []byte{0}, []byte{0xff}, false)
}
