// Command rookery is the command line of the engine: identities, contacts and
// devices of a store, sending and listening, what operators do with a store, a demo
// that shows a second device, a re-key and a recovery and then lets many identities
// of this process talk, measuring the engine and its parts, the replay of recordings made with the deployed reference,
// and the version. docs/command-line.md describes the commands for people who run
// identities, docs/operations.md those for stores.
//
// Results go to standard output, progress to standard error. The exit status is
// 0 when all went well, 1 when the result is bad (a lost message, an unexplained
// difference, a network that has not taken a message in time, fewer messages than
// were waited for, a measurement that was stopped) and 2 when the command could not be carried out.
package main
