//go:build !purego

package core

import (
	"github.com/rookery-im/rookery/internal/sha256block"
	"github.com/rookery-im/rookery/ratchet"
)

var extensions = sha256block.Available()

// compress is n compressions, one after the other.
func (f *floor) compress(n int) {
	if !extensions {
		f.sum(n)
		return
	}
	f.one(n)
}

// compressOver is n compressions, of which as many as it fills are over text.
func (f *floor) compressOver(text []byte, n int) {
	if !extensions {
		f.sumOver(text, n)
		return
	}
	whole := len(text) / sha256block.BlockSize
	if whole > 0 {
		sha256block.Compress(&f.states[2], &f.states[0], &text[0], whole)
	}
	f.one(n - whole)
}

// leastHashes are KDF_CK, the expansion of the message key and the MAC.
func (f *floor) leastHashes(ciphertext []byte) {
	if !extensions {
		f.sumOver(ciphertext, blocksOf(ciphertext)-ivBlocks)
		return
	}
	f.keyed()
	f.pair()
	f.pair()

	f.one(1)
	f.one(1)
	f.keyed()
	f.one(1)
	f.one(1)
	f.one(2)
	f.one(1)

	f.keyed()
	f.compressOver(ciphertext, signedBlocks(len(ciphertext)-ratchet.Overhead))
	f.one(1)
}

func (f *floor) one(n int) { sha256block.Compress(&f.states[2], &f.states[0], &f.blocks[0], n) }

func (f *floor) pair() {
	sha256block.CompressPair(&f.states[2], &f.states[3], &f.states[0], (*[64]byte)(f.blocks[:]), (*[64]byte)(f.blocks[64:]))
}

// keyed is what a key costs.
func (f *floor) keyed() { sha256block.KeyStates(&f.states[0], &f.states[1], &f.states[2]) }
