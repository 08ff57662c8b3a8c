// Package courier makes a transport.Transport of a carrier.Carrier: it seals and
// signs what is published, opens what comes for the identities that live here, and
// sees to it that nothing is missed while they are away.
//
// It owns which content topic a message goes to and is looked for on
// (54/WAKU2-X3DH-SESSIONS, Negotiated Topic), who may claim what there, which
// envelopes were dealt with, and how far the history was read. It does not know
// what a ProtocolMessage says, sessions, or any network.
//
// # At least once
//
// An envelope is settled when every subscriber has called done(nil), or when
// nobody here can open it. Settled envelopes are remembered by hash, durably and in
// bounded memory, so that the same one from the history or from another peer of the
// network is not delivered again. What is not settled holds back the cursor: the
// point of the history's clock up to which everything is settled. Catching up reads
// the history from Overlap before the cursor. It does so at the start, when the
// carrier tells of a gap, for topics that are new, and each LookBack, since networks
// lose messages without knowing.
//
// After a crash, what was settled in the last seconds before it is delivered again,
// and so is what has been pushed out of the bounded memory and is read again. An
// engine knows messages by their own ids, so that this costs time and nothing else.
//
// # Whose clock
//
// The cursor is a time of whoever keeps the history, and is only moved to times that
// its messages had, never beyond our own clock. Overlap makes good what senders'
// clocks and the way through the network put out of order: deployed nodes take
// messages that are up to 20 s off, so the default is a minute.
//
// # Isolation
//
// A subscriber that refuses what it gets has a bounded number of envelopes waiting;
// further ones of its topic are left in the history and fetched when it takes them
// again. Only when the room for all is full the carrier is held up.
//
// # Order
//
// What one identity publishes on one topic reaches the carrier in this order, and what
// is read of the history is delivered in the order of its places: a reading waits for a
// subscriber that has refused an envelope, for ten seconds at most.
//
// Whoever decrypts messages cannot skip any number of them. So live envelopes for an
// identity wait while older ones of their route are to be read from the history, until
// the reading has passed their places; what half of the room does not hold is left in the
// history. They wait for no more than half a minute in which no reading comes on, and not
// at all where there is no history, or if they are ephemeral. A route is waited for, not
// all of a sender's: of two that are read apart one may overtake the other.
//
// # What is kept
//
// A topic that nobody listens to any more is remembered as followed for another
// minute, and the cursor with it: a process that ends leaves all its topics, and
// needs not write that down. The key of a topic is stored as long as the topic is
// remembered. Forget deletes both for an identity that is gone for good.
package courier
