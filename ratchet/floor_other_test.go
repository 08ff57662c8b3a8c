//go:build !amd64 || purego

package ratchet_test

func (f *floor) chain()            { f.sum(chainBlocks) }
func (f *floor) expand()           { f.sum(expandBlocks) }
func (f *floor) mac(plaintext int) { f.sum(macBlocks(plaintext)) }
func (f *floor) root()             { f.sum(rootBlocks) }
