package wire

import "slices"

// PublicKey is a secp256k1 point in compressed form, 33 bytes: 0x02 or 0x03 and
// the x coordinate, big endian. Decoding checks the length and the first byte;
// whether the point is on the curve is for the package that computes with it.
type PublicKey [33]byte

// NoInstallation is the recipient of an entry that is meant for every
// installation of the recipient's identity; no installation may be called so.
const NoInstallation = "none"

// Message is a ProtocolMessage: what one installation sends to all installations
// of one identity. The zero value is the empty message.
//
// A Message has no locks; share it between goroutines for reading only.
type Message struct {
	// InstallationID is the sender's, empty when the sender did not say.
	InstallationID string
	// Bundles are in the order of the wire.
	Bundles []Bundle
	// Entries are sorted by Recipient, no two of them the same.
	Entries []Entry
	// Public is the unencrypted payload. An empty one is the same as none on
	// this wire, so HasPublic is never true of a decoded message without one.
	Public    []byte
	HasPublic bool
}

// Entry is one recipient's part of a Message.
type Entry struct {
	// Recipient is an installation id of the recipient, or NoInstallation.
	Recipient string
	Part      Part
}

// Part is one encrypted payload with the headers that say how to open it. Any
// combination of headers can be decoded; which of them make sense together is
// for the session rules.
type Part struct {
	X3DH *X3DHHeader
	DR   *DRHeader
	DH   *DHHeader
	// HashRatchet is true when there is a header of the group hash ratchet,
	// which the specification does not have: its content is not read and not
	// kept, and Encode writes it as an empty one.
	HashRatchet bool
	Payload     []byte
}

// X3DHHeader starts a session.
type X3DHHeader struct {
	// Ephemeral is the initiator's ephemeral key.
	Ephemeral PublicKey
	// SignedPreKey is the responder's prekey that the agreement used.
	SignedPreKey PublicKey
	// MadeWith is the initiator's own prekey when it made the session; zero if
	// it is the one in the bundle beside it. Deployed clients ignore it and never
	// write it.
	MadeWith PreKeyStamp
}

// PreKeyStamp names a signed prekey as a bundle had it.
type PreKeyStamp struct {
	Key       PublicKey
	Version   uint32
	Timestamp int64 // when the bundle was signed (ns)
}

// DRHeader belongs to a message of a Double Ratchet session.
type DRHeader struct {
	// RatchetKey is the sender's current ratchet key: a compressed secp256k1
	// point of 33 bytes, or a Curve25519 point of 32 bytes.
	RatchetKey []byte
	// N is the number of the message in its sending chain, PN the number of
	// messages in the chain before.
	N, PN uint32
	// SignedPreKey is the responder's prekey that the session was made with, in
	// both directions.
	SignedPreKey PublicKey
}

// DHHeader belongs to a payload under a single key agreement, without forward
// secrecy.
type DHHeader struct {
	Ephemeral PublicKey
}

// Bundle is what an identity publishes so that others can start sessions with
// its installations. Its signature has not been checked here.
type Bundle struct {
	Identity PublicKey
	// PreKeys are sorted by InstallationID, no two of them the same.
	PreKeys []SignedPreKey
	// Signature is r, s (32 bytes each, big endian) and the recovery id 0 or 1.
	Signature [65]byte
	// Timestamp is the time of signing in nanoseconds since the epoch, 0 when the
	// bundle carries none.
	Timestamp int64
}

// Equal tells whether two bundles say the same, signature included.
func (b *Bundle) Equal(other *Bundle) bool {
	return b.Signature == other.Signature && b.Timestamp == other.Timestamp && b.Identity == other.Identity &&
		slices.Equal(b.PreKeys, other.PreKeys)
}

// SignedPreKey is one installation's signed prekey in a Bundle.
type SignedPreKey struct {
	InstallationID string
	Key            PublicKey
	// Version counts the bundles of the installation.
	Version uint32
	// ProtocolVersion is what the installation speaks; deployed clients say 1.
	ProtocolVersion uint32
}
