package pebble

import "github.com/cockroachdb/pebble/v2"

// Adjusted gives options whose settings of Pebble are changed once more.
func Adjusted(o Options, adjust func(*pebble.Options)) Options {
	o.adjust = adjust
	return o
}

// Metrics are Pebble's own.
func (s *Store) Metrics() *pebble.Metrics { return s.now.db.Metrics() }
