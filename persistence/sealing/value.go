package sealing

import (
	"crypto/cipher"
	"encoding/binary"
	"sync"

	"github.com/rookery-im/rookery/persistence"
)

// A sealed value:
//
//	offset  bytes
//	     0      1  format, 1
//	     1      4  epoch
//	     5      8  sequence: how many values were sealed under the epoch before
//	    13      n  ciphertext of AES-256-GCM, with its tag of 16 bytes
//
// The nonce is 4 zero bytes and the sequence; the associated data are the 13
// bytes of the header and the record's name. Numbers are big-endian.
const (
	valueFormat = 1

	epochAt     = 1
	sequenceAt  = 5
	headerBytes = 13
	tagBytes    = 16
	// overhead is how much longer a sealed value is.
	overhead = headerBytes + tagBytes

	nonceBytes = 12
)

// keys are those that open values, by epoch. A map is never changed once it is
// shared.
type keys map[uint32]cipher.AEAD

// sealer seals under one epoch. It counts: every value takes the next sequence,
// whether or not it reaches the disk. One goroutine at a time.
type sealer struct {
	epoch    uint32
	aead     cipher.AEAD
	sequence uint64
	nonce    [nonceBytes]byte
	data     []byte // associated data
}

// appendSealed appends the sealed value of a record to buffer.
func (s *sealer) appendSealed(buffer []byte, name persistence.Name, value []byte) []byte {
	start := len(buffer)
	buffer = append(buffer, valueFormat)
	buffer = binary.BigEndian.AppendUint32(buffer, s.epoch)
	buffer = binary.BigEndian.AppendUint64(buffer, s.sequence)
	binary.BigEndian.PutUint64(s.nonce[4:], s.sequence)
	s.sequence++
	s.data = append(append(s.data[:0], buffer[start:]...), name...)
	return s.aead.Seal(buffer, s.nonce[:], value, s.data)
}

// epochOf reads under which epoch a value is sealed.
func epochOf(sealed []byte) (uint32, error) {
	switch {
	case len(sealed) < overhead:
		return 0, errTooShort
	case sealed[0] != valueFormat:
		return 0, errValueFormat
	}
	return binary.BigEndian.Uint32(sealed[epochAt:]), nil
}

// opener holds what opening a value needs besides the key.
type opener struct {
	nonce [nonceBytes]byte
	data  []byte
}

var openers = sync.Pool{New: func() any { return new(opener) }}

// open gives the value of a record, in the place of the sealed one.
func (k keys) open(name persistence.Name, sealed []byte) ([]byte, error) {
	epoch, err := epochOf(sealed)
	if err != nil {
		return nil, err
	}
	aead, found := k[epoch]
	if !found {
		return nil, ErrNoKey
	}
	o := openers.Get().(*opener)
	defer openers.Put(o)
	copy(o.nonce[4:], sealed[sequenceAt:headerBytes])
	o.data = append(append(o.data[:0], sealed[:headerBytes]...), name...)
	value, err := aead.Open(sealed[headerBytes:headerBytes], o.nonce[:], sealed[headerBytes:], o.data)
	if err != nil {
		return nil, errAuthentication // that of the cipher says no more
	}
	return value, nil
}
