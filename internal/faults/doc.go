// Package faults runs the whole engine on a disk that crashes and fails. It has
// no code of its own beyond its tests.
//
// Two identities live in one engine, on one store (keyring, anchor and records)
// on a file system in memory that can be put back to what a crash would leave,
// and talk over a network that keeps all that was ever published. A scenario is a
// short piece of their life: messages, acknowledgements, new prekeys and devices,
// new epoch keys.
//
// At every write operation of a scenario the disk is cloned as a crash would
// leave it, with none, half and all of what was not synced. Then every write
// operation in turn fails, with an I/O error or for want of space. After either,
// the store is opened again, the network delivers all that it has, the scenario
// is finished, and both sides go on talking. Crashes also follow crashes, and a
// process that was killed while the cache of the operating system lives on.
//
// A last test knows every key that ever was (book_test.go), and looks for those
// that are used up in all files, with the keyring that is left (search_test.go).
//
//	go test ./internal/faults                         # a part of the points
//	go test ./internal/faults -crash.offset 1         # others of them
//	make crash                                        # all
//	go test ./internal/faults -run TestCrashAtEveryWrite/send -crash.index 12 -crash.percent 50
//
// # What holds
//
//   - No message key seals two messages: ratchet key and number of everything
//     that was ever published are unique, or the ciphertext is the same.
//   - What a sender has a receipt of arrives at each installation that the
//     receipt names, unaltered and under its id.
//   - A message that was not acknowledged is reported again, under the same id;
//     one whose end in the inbox was durable is not.
//   - Messages go on in both directions, on the sessions that were there.
//   - A crash is never taken for a store that was put back (rookery.Replaced),
//     and never for corruption.
//   - After a failed write every call returns, and once the disk works again so
//     does the engine.
//
// Operations of the disk come in the order in which goroutines meet, which no
// seed decides: a point that failed is nearly, not exactly, the one that the
// printed command repeats.
package faults
