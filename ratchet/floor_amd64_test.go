//go:build !purego

package ratchet_test

import "github.com/rookery-im/rookery/internal/sha256block"

var extensions = sha256block.Available()

// keyed is what a key costs.
func (f *floor) keyed() { sha256block.KeyStates(&f.states[0], &f.states[1], &f.states[2]) }

func (f *floor) pair() {
	sha256block.CompressPair(&f.states[2], &f.states[3], &f.states[0], (*[64]byte)(f.blocks[:]), (*[64]byte)(f.blocks[64:]))
}

func (f *floor) one(n int) { sha256block.Compress(&f.states[2], &f.states[0], &f.blocks[0], n) }

// chain is KDF_CK.
func (f *floor) chain() {
	if !extensions {
		f.sum(chainBlocks)
		return
	}
	f.keyed()
	f.pair()
	f.pair()
}

// expand is the expansion of a message key.
func (f *floor) expand() {
	if !extensions {
		f.sum(expandBlocks)
		return
	}
	f.one(1)
	f.one(1)
	f.keyed()
	f.one(1)
	f.one(1)
	f.one(2)
	f.one(1)
}

// mac is the MAC of a message.
func (f *floor) mac(plaintext int) {
	if !extensions {
		f.sum(macBlocks(plaintext))
		return
	}
	f.keyed()
	f.one(signedBlocks(plaintext))
	f.one(1)
}

// root is KDF_RK.
func (f *floor) root() {
	if !extensions {
		f.sum(rootBlocks)
		return
	}
	f.keyed()
	f.expand()
}
