// Package pebble is the persistence.Store on disk: one Pebble database for all
// identities, in a directory that nobody else can read.
//
// It owns what has to be done to trust Pebble with acknowledged writes: the
// newest format and a rotated log for a new store, so that a flipped bit is
// reported and not read as an older state; sums over what Pebble does not check,
// beside each manifest and, from Close to the next Open, over logs and manifests;
// private file modes; a disk that fails under the store taken as a crash of the
// store alone, where Pebble would end the process or wait for ever; and a disk
// without space, on which the store reads until there is some again. Its settings
// are those of docs/adr/0014-pebble-options.md.
//
// What it cannot see: a whole directory put back from an older copy, and, after
// a kill, damage in the last 32 KiB of the log, which looks like a write that the
// kill has cut. Both show in the counters that package sealing keeps.
//
// It does not know what a record holds. Nothing else imports Pebble.
package pebble
