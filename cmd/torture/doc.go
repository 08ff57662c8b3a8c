// Command torture kills a process that hosts two talking engines, again and
// again, and checks that nothing is lost, nothing comes twice and no message
// key is used for two plaintexts. "torture exchange" does so with two processes
// that talk over a network, see below.
//
// The parent process is the network and the judge, and never dies. The child
// process hosts two engines, each with one identity on a directory of its own,
// which talk through the parent over the pipes of the child's standard input
// and output. The child is killed (SIGKILL) at random moments, during Close,
// and at hooks: before and after a batch, before a change of anchor or keyring,
// before and after a publication, before and after the acknowledgement of a
// message, before and after a direct message is handed over. It is then started again
// on the same directories. The hooks sit in wrappers around the ports, in this
// package; the engine knows nothing of them.
//
// # What is checked
//
//   - Reuse: no ratchet key and number N are ever published with two different
//     ciphertexts. Every envelope is decoded for that when the child hands it
//     over, whether the network then takes it or not.
//   - Lost: a message is acknowledged to its sender when Send has returned nil,
//     or, sent directly, handed over when the parent has it. Each of those is
//     told to the handler of the other side, and told again in later lives of
//     the process until the handler has called Ack.
//   - Duplicate: a payload is told under one id, the id of its receipt; no id is
//     told twice in one life of the process; and an id whose Ack was durable (the
//     batch that deletes its inbox record has returned from the store) is never
//     told again. What was told and not durably acknowledged when the process
//     was killed comes again by design, and is no duplicate.
//   - Foreign: nothing is told that was not sent, or to or from somebody else.
//   - Stuck: every few cycles the senders stop and all has to arrive, with
//     outboxes, inboxes and the network empty, within a bound. A child that does
//     not come up or does not end within it is stuck too.
//   - Failure: the child never ends by itself, its store always opens and is
//     never taken for a rolled-back one, no send fails
//     for good, and no alarm is raised.
//
// What a kill cannot show is what a machine without power loses: the operating
// system still has every write of a dead process. That is for tests on a file
// system that forgets what was not synced.
//
// # Seeds
//
// A run is made of rounds. Each has fresh directories and a seed of its own,
// from which the plan of all its cycles is drawn: faults of the network, hooks,
// moments, clock steps. The moments of real processes are never quite the same,
// so a seed repeats the plan and not every interleaving. A round that fails
// leaves its directories, with the history of what the parent saw, behind.
//
// The clock of the child steps ahead by more than a day now and then, so that
// prekeys rotate, sessions are replaced and old ones expire.
//
// # Over networks between processes
//
// "torture exchange" is the same promise where messages take the way that they take
// in use: two processes, each an engine on a directory of its own with its own key
// file, exchange messages over NATS JetStream or over native Waku relay, half of
// them in each direction. Each of the two is killed (SIGKILL) and started again by
// itself, and so is what keeps the messages: the NATS server, or the store of the
// Waku network, which is the stand-in for a node's REST interface over an archive on
// disk. The one Waku node that is not killed stands for the rest of the network: a
// relay peer of the parent that both sides are connected with, and that writes what
// it has taken into that archive. All of it is on loopback, at ports that the system
// chooses, and ends with the parent.
//
// The parent says what to send, so that it knows each message before its sender
// does. A message counts when Send has returned nil; one whose Send was cut short by
// a kill is not sent again, and may come or not, but once and under one id. A side is
// told to send the next ones only while the other hears what it sends, so that the
// exchange goes on through all lives. A kill is due when a number of messages was
// acknowledged, one number drawn from each of as many equal parts as there are kills,
// and comes up to 30 ms later; the summary shows after which part of the messages
// each kill came. When all has arrived both close, are started once more, and nothing
// may come any more.
//
// What is checked is as above, but for reuse: what is published is sealed there.
//
// # Status
//
// The exit status is 0 when all was well, 1 after a violation and 2 when the
// run could not be carried out or was interrupted.
package main
