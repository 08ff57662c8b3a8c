//go:build !amd64 || purego

package core

func (f *floor) compress(n int)                  { f.sum(n) }
func (f *floor) compressOver(text []byte, n int) { f.sumOver(text, n) }
func (f *floor) leastHashes(ciphertext []byte)   { f.sumOver(ciphertext, blocksOf(ciphertext)-ivBlocks) }
