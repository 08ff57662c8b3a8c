// Package pebble is the persistence.Store on disk: one Pebble database for all
// identities, in a directory that nobody else can read.
//
// It owns what has to be done to trust Pebble with acknowledged writes: the
// newest format and a rotated log for a new store, so that a flipped bit is
// reported and not read as an older state; a seal of sums over what Pebble does
// not check, from Close to the next Open; private file modes; and a disk that
// fails under the store taken as a crash of the store alone, where Pebble would
// end the process or wait for ever.
//
// What it cannot see: a whole directory put back from an older copy, and, after
// a kill, damage in the last 32 KiB of the log or in the manifest, which looks
// like a write that the kill has cut.
//
// It does not know what a record holds. Nothing else imports Pebble.
package pebble
