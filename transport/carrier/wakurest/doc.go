// Package wakurest carries messages through a Waku node of one's own, go-waku or
// nwaku, over its REST interface.
//
// It owns what the two kinds of node do differently and what they get wrong: caches
// that drop or block, subscriptions that a restart forgets, cursors in four
// encodings, and answers that make no sense. It does not know what the payloads are.
//
// A relaying node (the default) gathers all messages of a pubsub topic, which are
// told apart here. It hands each of them out once, so that one node serves one
// Carrier. A node that does not relay (Options.Light) asks others by lightpush and
// filter: it gathers single topics, and others learn which.
//
// A Carrier subscribes the node when it has to and never takes that back, because a
// go-waku node may not survive it. A go-waku node that is left subscribed without
// anybody reading stops to work after 1001 messages: end it when its Carrier is gone
// for good.
//
// History is the store of a node; it can be used alone, too.
package wakurest
