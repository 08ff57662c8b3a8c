package leakscan

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
)

// Needles find keys in bytes: either half of them, as it is and in hex.
type Needles struct {
	begin *[1 << 16]bool // of the first two bytes: most places need no more
	at    map[uint64][]needle
}

type needle struct {
	text []byte
	of   Secret
}

// NewNeedles looks for the keys of a map.
func NewNeedles[Why any](secrets map[Secret]Why) Needles {
	n := Needles{new([1 << 16]bool), make(map[uint64][]needle)}
	for key := range secrets {
		for _, half := range [][]byte{key[:16], key[16:]} {
			lower := hex.AppendEncode(nil, half)
			for _, text := range [][]byte{half, lower, bytes.ToUpper(lower)} {
				at := binary.LittleEndian.Uint64(text)
				n.at[at] = append(n.at[at], needle{text, key})
				n.begin[binary.LittleEndian.Uint16(text)] = true
			}
		}
	}
	return n
}

// Find adds the keys that are in the content to those that were found.
func (n Needles) Find(content []byte, found map[Secret]bool) {
	for i := 0; i+8 <= len(content); i++ {
		if !n.begin[binary.LittleEndian.Uint16(content[i:])] {
			continue
		}
		for _, candidate := range n.at[binary.LittleEndian.Uint64(content[i:])] {
			if bytes.HasPrefix(content[i:], candidate.text) {
				found[candidate.of] = true
			}
		}
	}
}
