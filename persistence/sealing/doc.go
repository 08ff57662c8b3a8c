// Package sealing is a persistence.Store over another one that keeps secrets: it
// seals every value at rest, makes consumed keys unrecoverable by destroying the
// keys of past epochs, and tells a store that has gone back from the real one.
//
// A value is sealed under the key of the current epoch (package keyring) with
// its name as associated data. Every Open and every rotation begins an epoch
// with a fresh key, under which a counter makes the nonces: no nonce is used
// twice, also not after a crash, a failed batch or in a copy of the directory.
// A rotation seals the live records anew, in small steps beside the traffic or, at
// close, in place of what they replace, and destroys the older keys: what was deleted or overwritten before can then
// not be opened any more, although the database below still has it in its files.
//
// The guard: each batch carries a head, a record that counts the batches and
// names the run of the process, and after each batch an anchor outside the
// records is moved on. A store whose records do not follow from its anchor has
// been rolled back, cut or exchanged. It opens, with a recovery pending: whoever
// uses it must not go on with what may be an older state (a ratchet's) until it
// has made a new start and called Recovered.
//
// What it does not promise: a single value that is put back from the same epoch
// is not told from the newer one; a copy of everything, the anchor included, is
// not either, nor what a drive keeps below its file system. Names of records,
// and the ownership epochs that the store below keeps (KindFence), are in the
// clear.
//
// It does not know what a record holds, nor how the records, the keyring and the
// anchor reach the disk. See docs/adr/0013 and 0015.
package sealing
