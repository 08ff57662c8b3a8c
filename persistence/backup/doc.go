// Package backup writes the records of a store, as they are at one moment, into
// one encrypted stream, and puts such a stream into a new store.
//
// It owns the format of the stream (docs/adr/0017-backups.md): one age file, for
// a passphrase or for public keys, and in it framed records, their count and
// their sum. A stream that was cut, altered or made for another key is refused,
// and what was put into a store before that was seen is worth nothing: Restore
// fails, and the store has to be thrown away.
//
// It does not know what a record holds, how a store seals it, or where a store
// lies. Ownership epochs and the store's own head stay with the store that they
// are of. That message keys are not used a second time by what is restored is
// the rollback guard's work: Restore marks the store, and its next opening is a
// recovery.
package backup
