package replay

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// stateHash is a hash over everything a node keeps. Every part goes in with its
// length, so that different states give different input.
type stateHash struct{ h hash.Hash }

func newStateHash() *stateHash { return &stateHash{sha256.New()} }

func (s *stateHash) add(parts ...[]byte) {
	for _, p := range parts {
		s.number(uint64(len(p)))
		s.h.Write(p)
	}
}

func (s *stateHash) number(numbers ...uint64) {
	for _, n := range numbers {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		s.h.Write(b[:])
	}
}

func (s *stateHash) sum() [32]byte { return [32]byte(s.h.Sum(nil)) }
