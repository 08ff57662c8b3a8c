// Package jetstream is a carrier.Carrier over NATS with JetStream.
//
// It owns the connection, the stream that is the mail server, and the names of
// things there. It does not know what messages say or whose they are, and it
// keeps nothing on disk.
//
// # Subjects
//
// A content topic is one token below a prefix: "rookery." and the topic with all
// but letters, digits, '-' and '_' written as =XX. Messages of the history are
// published there, into one stream, with the hash as Nats-Msg-Id, so that the server
// drops what is published again within its window for duplicates. Ephemeral messages
// go to "rookery-live." and the same token, which no stream listens to.
//
// An account has to publish to rookery.*, rookery-live.*, and below $JS.API. to
// STREAM.INFO.rookery, CONSUMER.CREATE.rookery.>, CONSUMER.DELETE.rookery.* and
// CONSUMER.MSG.NEXT.rookery.* (STREAM.CREATE.rookery to create the stream), and to
// listen to rookery-live.* and _INBOX.>. One that has only some of this can do as much:
// publish without the consumers, read without the first two, read one topic with
// CONSUMER.CREATE.rookery.*.rookery.TOKEN. What is denied gives ErrDenied at once.
//
// # Delivery
//
// What is delivered comes from one ephemeral pull consumer for each process, which is
// never asked for more than a window of messages: a slow receiver holds it up, and
// nothing is dropped. Each message and each heartbeat tells how many the server has
// sent, so a lost one is noticed within seconds; the consumer is then made anew behind
// the last message that came, after a reconnect by time, as a server that lost its
// last seconds gives sequences twice. Only when more than Options.Backlog messages
// wait there, Gap leaves them to History, and what is new comes first.
//
// Up to Options.Filters topics the consumer asks for just these; with more of them it
// takes the whole stream and picks here. The ways were measured (2 busy cores, file
// store, messages of 1 KiB over 100,000 topics, all processes on one machine; CPU of
// server, publisher and receivers per published message, 33 us if nobody listens):
//
//   - one consumer with 100 filters: 2 us more; 250 filters take 12 ms to set, 1,000
//     take 100 ms and 5,000 take 4 s, as the server compares each with each;
//   - one consumer of everything: 12 us more for each process, whatever the number of
//     topics, and adding a topic costs the server nothing;
//   - 10 consumers with 1,000 filters each: 20 us more, 40 of them 85 us and 4 s to set;
//   - one core subscription per topic, 100,000 of them: 15 us more, and all are sent
//     again at each reconnect; such messages have no sequence and no time, so that a
//     lost one is not noticed;
//   - core subscriptions to a stream that republishes: they have both, but the server
//     loads the last message of the topic for each one, which halves what it takes
//     (45,000 to 20,000 per second) and keeps the whole stream in its memory (820 MB for
//     600 MB published, 140 MB without).
//
// The history is asked the same way. There a server takes 200 to 500 us to find a
// message of some of the topics of a stream, and 12 us to send any, so that it is told
// to look for them only if they are few.
package jetstream
