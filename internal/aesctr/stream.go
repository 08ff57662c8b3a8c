package aesctr

// XORKeyStream encrypts or decrypts src to dst under a key that begins with the
// counter iv, a big-endian number of 128 bits that wraps. A key must see each
// counter once.
//
// dst may be longer than src; what is behind len(src) is neither read nor
// written. It panics if dst is shorter. Both may begin at the same byte, else
// they must not overlap. Several goroutines may call it at once.
func XORKeyStream(dst, src []byte, key *[32]byte, iv *[16]byte) {
	if len(dst) < len(src) {
		panic("aesctr: the destination is shorter than the source")
	}
	xorKeyStream(dst[:len(src)], src, key, iv)
}
