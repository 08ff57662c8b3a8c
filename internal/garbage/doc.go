// Package garbage has the collector of Go come less often where memory allows it.
//
// It owns one setting of the whole process, the percentage of debug.SetGCPercent: a
// command that wants it calls CollectSeldom, the engine does not. It knows nothing of
// identities. While the collector looks through the heap it takes most of a machine with
// few processors, and messages wait for some milliseconds; how often it comes depends on
// how much garbage may gather meanwhile. By default that is as much as what is in use.
package garbage
