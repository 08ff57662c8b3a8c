package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// offence is a kind of violation; doc.go says what each is.
type offence string

const (
	reused    offence = "reuse"
	lost      offence = "lost"
	duplicate offence = "duplicate"
	foreign   offence = "foreign"
	stuck     offence = "stuck"
	failure   offence = "failure"
)

var offences = []offence{reused, lost, duplicate, foreign, stuck, failure}

// violation is what must never happen.
type violation struct {
	offence offence
	what    string
}

func (v violation) String() string { return string(v.offence) + ": " + v.what }

// slot is what a message key belongs to: no two ciphertexts may share one.
type slot struct {
	ratchetKey string
	n          uint32
}

// judge knows what one round may do and what it has done. One goroutine at a
// time.
type judge struct {
	violations []violation

	sealed   map[slot][sha256.Size]byte
	messages map[string]*message // by payload
	ids      map[string]*message // by id
	lives    [sides]int          // how many each side has had
}

// message is one payload on its way.
type message struct {
	label        string
	from         side
	id           string // "" until a receipt or a delivery tells
	acknowledged bool   // to its sender
	told         bool   // to its recipient
	toldIn       int    // the life of the recipient in which it was told last
	answered     bool   // the handler has called Ack
	settled      bool   // the Ack is durable
}

func newJudge() *judge {
	return &judge{sealed: make(map[slot][sha256.Size]byte), messages: make(map[string]*message), ids: make(map[string]*message)}
}

func (j *judge) blame(o offence, format string, args ...any) {
	j.violations = append(j.violations, violation{o, fmt.Sprintf(format, args...)})
}

// begin says that a new life of a side begins.
func (j *judge) begin(s side) { j.lives[s]++ }

// published notes the keys of an envelope that has left the child.
func (j *judge) published(e transport.Envelope) {
	m, err := wire.Decode(e.Payload)
	if err != nil {
		j.blame(failure, "a published message cannot be decoded: %v", err)
		return
	}
	for _, entry := range m.Entries {
		if entry.Part.DR == nil {
			continue
		}
		at := slot{string(entry.Part.DR.RatchetKey), entry.Part.DR.N}
		hash := sha256.Sum256(entry.Part.Payload)
		if before, ok := j.sealed[at]; ok && before != hash {
			j.blame(reused, "ratchet key %x, number %d: two ciphertexts, %x and %x", at.ratchetKey, at.n, before[:8], hash[:8])
		}
		j.sealed[at] = hash
	}
}

// meant says that a side is about to send a payload.
func (j *judge) meant(from side, payload []byte) {
	if j.messages[string(payload)] != nil {
		j.blame(failure, "%s is sent twice by the workload itself", label(payload))
		return
	}
	j.messages[string(payload)] = &message{label: label(payload), from: from}
}

// sent says that a message was acknowledged to its sender.
func (j *judge) sent(from side, id string, payload []byte) {
	m := j.messages[string(payload)]
	if m == nil || m.from != from {
		j.blame(foreign, "a receipt for %s, which %v did not send", label(payload), from)
		return
	}
	m.acknowledged = true
	j.identify(m, id)
}

// identify holds that a payload has one id and an id one payload.
func (j *judge) identify(m *message, id string) {
	if other := j.ids[id]; other != nil && other != m {
		j.blame(duplicate, "%s and %s have one id %s", other.label, m.label, short(id))
		return
	}
	if m.id != "" && m.id != id {
		j.blame(duplicate, "%s has two ids, %s and %s", m.label, short(m.id), short(id))
		return
	}
	m.id, j.ids[id] = id, m
}

// told says that the handler of a side was told a message; fromPeer that its
// sender is the other side.
func (j *judge) told(at side, id string, payload []byte, fromPeer bool) {
	m := j.messages[string(payload)]
	if m == nil || m.from != at.other() || !fromPeer {
		j.blame(foreign, "%v was told %s, which was not sent to it", at, label(payload))
		return
	}
	j.identify(m, id)
	switch {
	case m.settled:
		j.blame(duplicate, "%s, id %s, came again after its Ack was durable", m.label, short(id))
	case m.told && m.toldIn == j.lives[at]:
		j.blame(duplicate, "%s, id %s, came twice in one life", m.label, short(id))
	}
	m.told, m.toldIn = true, j.lives[at]
}

// acking says that the handler of a side calls Ack.
func (j *judge) acking(at side, id string) {
	if m := j.to(at, id); m != nil {
		m.answered = true
	}
}

// settle says that an Ack is durable.
func (j *judge) settle(at side, id string) {
	m := j.to(at, id)
	if m == nil {
		return
	}
	if !m.answered {
		j.blame(lost, "%s, id %s, left the inbox and was not acknowledged", m.label, short(id))
	}
	m.settled = true
}

func (j *judge) to(at side, id string) *message {
	m := j.ids[id]
	if m == nil || m.from != at.other() || !m.told {
		j.blame(foreign, "%v deals with id %s, which it was not told", at, short(id))
		return nil
	}
	return m
}

// owed are the messages that still have to come or to be answered.
func (j *judge) owed() []*message {
	var out []*message
	for _, m := range j.messages {
		if m.acknowledged && !m.told || m.told && !m.answered {
			out = append(out, m)
		}
	}
	return out
}

// drained passes judgement when the senders have stopped and the time for the
// rest is over: left are records in outboxes and inboxes, underWay envelopes in
// the network. What is owed while something is left is stuck; while nothing is,
// it is lost.
func (j *judge) drained(left uint64, underWay int) {
	verdict := lost
	if left > 0 || underWay > 0 {
		verdict = stuck
		j.blame(stuck, "%d records are left in outboxes and inboxes, and %d envelopes in the network", left, underWay)
	}
	for _, m := range j.owed() {
		state := "acknowledged to its sender, never told"
		if m.told {
			state = "told, and not told again until acknowledged"
		}
		j.blame(verdict, "%s, id %s: %s", m.label, short(m.id), state)
	}
}

// label is what the workload calls a payload: what is before its padding.
func label(payload []byte) string {
	text, _, _ := strings.Cut(string(payload[:min(len(payload), 80)]), " .")
	return fmt.Sprintf("%q", strings.TrimSpace(text))
}

// short is enough of an id to find it in a history.
func short(id string) string { return id[:min(len(id), 16)] }

// fingerprint is enough of a ciphertext to find it in a history.
func fingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
