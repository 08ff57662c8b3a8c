//go:build !amd64 || purego

package ratchet_test

func (f *floor) compress(n int)            { f.sum(n) }
func (f *floor) leastHashes(plaintext int) { f.sum(messageBlocks(plaintext) - ivBlocks) }
