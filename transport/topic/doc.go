// Package topic names the places on the network where messages go, and what opens
// them there, exactly as deployed Status clients have it (10/WAKU-USAGE,
// 54/WAKU2-X3DH-SESSIONS, and the deployed code where it differs from both).
//
// It owns the names of topics and what is derived of a name: the 4 bytes that
// stand on the wire, the content topic, the symmetric key. It does not know which
// topics are listened to and which one a message goes to, envelopes, the network
// or the store: Keys, which derives symmetric keys only when they are wanted,
// keeps them through the Store that it is given.
//
// Everything but Keys is pure and safe for concurrent use.
//
// # Names are secret
//
// A symmetric key is made of nothing but the name of its topic. The name of a
// negotiated topic is the secret that two identities share; who knows it reads
// what is published there. So a Name prints as its kind and the topic on the
// wire, which are public, whatever it is. As with package secret, a struct that
// holds one in an unexported field has to implement fmt.Formatter itself, and
// wiping is best effort.
package topic
