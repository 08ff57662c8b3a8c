// Command rookery is the command line of the engine: a demo that shows a second
// device, a re-key and a recovery and then lets many identities of this process
// talk, the replay of recordings made with the deployed reference, and the
// version.
//
// Results go to standard output, progress to standard error. The exit status is
// 0 when all went well, 1 when the result is bad (a lost message, an
// unexplained difference) and 2 when the command could not be carried out.
package main
