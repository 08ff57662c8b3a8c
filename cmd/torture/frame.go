package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/transport"
)

// What the child tells.
const (
	isHere       = "here"       // the process runs
	isReady      = "ready"      // an identity is hosted: Side, Payload (public key), Text (installation)
	isOpen       = "open"       // both engines are, and the senders begin
	isMeant      = "meant"      // a payload is about to be sent
	isSent       = "sent"       // Send has returned nil: ID, Payload
	isHandedOver = "handedover" // a direct message, which the parent now has: ID, Payload, Envelope
	isFailed     = "failed"     // neither
	isLater      = "later"      // a send was refused and is tried again: Text
	isPublished  = "published"  // Number, Envelope; to be answered with isAccepted
	isListening  = "listening"  // Number, Text (topic)
	isDeaf       = "deaf"       // Number: that subscription is over
	isDone       = "done"       // Number of a delivery, Text (error)
	isTold       = "told"       // the handler got a message: ID, Payload, Peer
	isAcking     = "acking"     // the handler calls Ack: ID
	isSettled    = "settled"    // the Ack is durable: ID
	isRefused    = "refused"    // Text
	isAlarm      = "alarm"      // Text
	isSession    = "session"    // a session has changed: Text
	isDying      = "dying"      // at the hook in Text
	isStopped    = "stopped"    // no sender is at work
	isLeft       = "left"       // Number: records in outboxes and inboxes; Target: what the history may still have
	isBroken     = "broken"     // the child cannot go on: Text
	isRolledBack = "rolledback" // Side: the store takes itself for an older copy
	isCard       = "card"       // Payload: the bundle of Side, for the other to know it
	isServing    = "serving"    // Text: the address of what serves
)

// What the parent tells.
const (
	doStart   = "start"    // Plan, Text (directory); Side, Payload (identity key), Reach
	doAccept  = "accepted" // Number, Text (error)
	doDeliver = "deliver"  // Number, Target (subscription), Envelope
	doStop    = "stop"
	doLook    = "look"
	doClose   = "close"
	doMeet    = "meet"  // Peer, Payload (bundle)
	doSend    = "send"  // Payload
	doServe   = "serve" // Reach (where to serve), Text (directory)
)

// frame is one message between parent and child; what it holds depends on Kind.
type frame struct {
	Kind     string
	Side     side      `json:",omitempty"`
	ID       string    `json:",omitempty"` // of a message, hex
	Payload  []byte    `json:",omitempty"`
	Peer     []byte    `json:",omitempty"` // public key
	Number   uint64    `json:",omitempty"`
	Target   uint64    `json:",omitempty"`
	Text     string    `json:",omitempty"`
	Envelope *envelope `json:",omitempty"`
	Plan     *plan     `json:",omitempty"`
	Reach    *reach    `json:",omitempty"`
}

// envelope is a transport.Envelope in a frame.
type envelope struct {
	Topic   string
	Sender  []byte
	Payload []byte
}

func framed(e transport.Envelope) *envelope {
	return &envelope{Topic: string(e.Topic), Sender: e.Sender[:], Payload: e.Payload}
}

func (e *envelope) open() (transport.Envelope, error) {
	out := transport.Envelope{Topic: transport.Topic(e.Topic), Payload: e.Payload}
	if copy(out.Sender[:], e.Sender) != len(out.Sender) || len(e.Sender) != len(out.Sender) {
		return out, fmt.Errorf("sender of %d bytes", len(e.Sender))
	}
	return out, nil
}

// maxFrame bounds a frame in bytes.
const maxFrame = 16 << 20

// writeFrame writes a frame behind its length (4 bytes, big-endian), in one
// call.
func writeFrame(w io.Writer, f frame) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))) //nolint:gosec // far below
	_, err = w.Write(append(out, body...))
	return err
}

// readFrame reads one frame. What a killed writer has begun and not finished
// is io.ErrUnexpectedEOF.
func readFrame(r io.Reader) (frame, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return frame{}, fmt.Errorf("frame of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return frame{}, io.ErrUnexpectedEOF
	}
	var f frame
	return f, json.Unmarshal(body, &f)
}
