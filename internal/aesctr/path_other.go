//go:build !amd64 || purego

package aesctr

func xorKeyStream(dst, src []byte, key *[32]byte, iv *[16]byte) { xorPortable(dst, src, key, iv) }
