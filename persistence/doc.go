// Package persistence owns how state becomes durable: the Store port that an
// embedded database stands behind, the unambiguous names of records, ownership
// fences, and the Committer, which gathers the commits of all owners of state
// into few synced batches.
//
// It does not know what a record holds: values are opaque bytes here, and
// names never contain secrets. It does not know any database either; see the
// packages memory and pebble below it, and storetest for the suite that both
// have to pass.
//
// Two promises of the transport specification's security section rest on this
// package: state is durable before its effects leave the process (a message
// key is never used twice), and a failed commit is never followed by one that
// was computed on top of it.
package persistence
