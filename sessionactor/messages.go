package sessionactor

import (
	"crypto/sha256"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// Encrypt asks for the part of a message that goes to this installation. It is
// sent by pointer, and not changed afterwards.
type Encrypt struct {
	actors.Reply[Encrypted]
	Payload []byte
	Entry   *Entry // this and
	Own     *Entry // this: see Outgoing; neither is nil
	Now     int64  // ns
	Active  ID     // see Load
	Timed   bool   // the answer says how long the step took
}

// Encrypted answers Encrypt. The part must not leave the process before the
// records are durable.
type Encrypted struct {
	Part        wire.Part
	Records     []persistence.Record
	Transitions []Transition
	Active      ID   // the session that is in use now
	Started     bool // the message starts a new session
	Turned      bool // it made the sending half of a DH ratchet step
	Took        time.Duration
}

// Reserve asks for the next Size message numbers of the active session, to send
// with them directly.
type Reserve struct {
	actors.Reply[Reserved]
	Size   uint32
	Entry  Entry
	Own    Entry // see Outgoing
	Now    int64 // ns
	Active ID    // see Load
}

// Reserved answers Reserve. The reservation must not be used before the records
// are durable.
type Reserved struct {
	Reservation Reservation
	Records     []persistence.Record
	Transitions []Transition
	Started     bool // the first message starts a new session
	Turned      bool // the sending half of a DH ratchet step was made
}

// Decrypt asks for the payload of a received part. It is sent by pointer, and not
// changed afterwards.
type Decrypt struct {
	actors.Reply[Decrypted]
	Incoming Incoming
	Encoded  []byte // the message as it came, for quarantine
	Now      int64  // ns
	Active   ID     // see Load
	Timed    bool   // the answer says how long the step took
}

// QuarantineID names the message if handling it panics.
func (m *Decrypt) QuarantineID() [32]byte { return sha256.Sum256(m.Encoded) }

// Decrypted answers Decrypt. The payload must not be handed on before the
// records are durable.
type Decrypted struct {
	Payload     []byte
	Records     []persistence.Record
	Transitions []Transition
	Active      ID   // the session that is in use now
	Started     bool // the message started a new session
	Turned      bool // it made the receiving half of a DH ratchet step
	Took        time.Duration
}

// Expire asks to delete what has been expired for 14 days.
type Expire struct {
	actors.Reply[ExpiredSessions]
	// Usable are our signed prekeys that still exist: the initial messages that
	// rest on them can come again.
	Usable []x3dh.PreKeyPublic
	Now    int64 // ns
}

// ExpiredSessions answers Expire.
type ExpiredSessions struct {
	Records     []persistence.Record
	Transitions []Transition
}

// Delete asks to delete all sessions with the installation.
type Delete struct {
	actors.Reply[DeletedAll]
}

// DeletedAll answers Delete.
type DeletedAll struct {
	Records []persistence.Record
}
