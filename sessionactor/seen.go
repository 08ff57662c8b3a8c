package sessionactor

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/rookery-im/rookery/ratchet"
)

// Seen remembers the last messages that a session has decrypted, newest first.
// Two copies of one installation that both go on from the same state send two
// messages with one number; by this the second one can be told from a message
// that merely came twice (T42).
type Seen [8]SeenMessage

// SeenMessage is one message, as far as it has to be recognised. The zero value
// is none.
type SeenMessage struct {
	Ratchet [4]byte // the start of the x coordinate of its ratchet key
	N       uint32
	Hash    [8]byte // of the ciphertext, MAC included
}

// seenSize is a SeenMessage in a record, in bytes.
const seenSize = 4 + 4 + 8

func seenMessage(m *ratchet.Message) (s SeenMessage) {
	if key := m.Header.Key.Bytes(); len(key) > len(s.Ratchet) {
		copy(s.Ratchet[:], key[1:])
	}
	s.N = m.Header.N
	hash := sha256.Sum256(m.Ciphertext)
	copy(s.Hash[:], hash[:])
	return s
}

// add remembers a message instead of the oldest one.
func (s *Seen) add(m SeenMessage) {
	copy(s[1:], s[:len(s)-1])
	s[0] = m
}

// check refuses a message whose number was decrypted before: as a duplicate, or
// as the work of a copy. What it says of a copy is an alarm and no proof, since
// the key that would authenticate the message is gone.
func (s *Seen) check(m SeenMessage) error {
	for _, old := range s {
		switch {
		case old == SeenMessage{} || old.Ratchet != m.Ratchet || old.N != m.N:
		case old.Hash == m.Hash:
			return ratchet.ErrMessageKeyGone
		default:
			return ErrCloned
		}
	}
	return nil
}

// knows tells whether a message of that number was decrypted.
func (s *Seen) knows(m SeenMessage) bool { return s.check(m) != nil }

func (s *Seen) append(out []byte) []byte {
	for _, m := range s {
		if m == (SeenMessage{}) {
			break
		}
		out = append(out, m.Ratchet[:]...)
		out = binary.BigEndian.AppendUint32(out, m.N)
		out = append(out, m.Hash[:]...)
	}
	return out
}

func (d *decoder) seen(b []byte) (s Seen) {
	if len(b)%seenSize != 0 || len(b) > len(s)*seenSize {
		d.fail(fmt.Errorf("seen messages of %d bytes", len(b)))
		return s
	}
	for i := 0; len(b) > 0; i++ {
		copy(s[i].Ratchet[:], b)
		s[i].N = binary.BigEndian.Uint32(b[4:])
		copy(s[i].Hash[:], b[8:seenSize])
		if s[i] == (SeenMessage{}) {
			d.fail(fmt.Errorf("seen message %d is empty", i))
		}
		b = b[seenSize:]
	}
	return s
}
