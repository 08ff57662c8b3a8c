package aesctr

import "unsafe"

// XORKeyStream encrypts or decrypts src to dst under a key that begins with the
// counter iv, a big-endian number of 128 bits that wraps. A key must see each
// counter once.
//
// dst may be longer than src; what is behind len(src) is neither read nor
// written. It panics if dst is shorter. Both may begin at the same byte; if they
// overlap in another way it panics. Neither key nor iv lies in dst. Several goroutines may call it at once.
func XORKeyStream(dst, src []byte, key *[32]byte, iv *[16]byte) {
	if len(dst) < len(src) {
		panic("aesctr: the destination is shorter than the source")
	}
	dst = dst[:len(src)]
	if len(src) > 0 && &dst[0] != &src[0] && Overlap(dst, src) {
		panic("aesctr: source and destination overlap")
	}
	xorKeyStream(dst, src, key, iv)
}

// Overlap tells whether two slices share memory.
func Overlap(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	from, to := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0])) //nolint:gosec // only compared
	return from < to+uintptr(len(b)) && to < from+uintptr(len(a))
}
