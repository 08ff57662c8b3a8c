// Package pebble is the persistence.Store on disk: one Pebble database for all
// identities, in a directory that nobody else can read.
//
// It owns what has to be done to trust Pebble with acknowledged writes: the
// newest format and a rotated log for a new store, so that a flipped bit is
// reported and never read as an older state; private file modes; and a disk
// that fails under the store taken as a crash of the store alone, where Pebble
// would end the process. What it cannot see is a log whose end was cut off
// between two runs, or a directory put back from a copy.
//
// It does not know what a record holds. Nothing else imports Pebble.
package pebble
