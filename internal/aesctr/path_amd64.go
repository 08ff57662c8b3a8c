//go:build !purego

package aesctr

// accelerated says that the processor has what the assembly uses; tests switch
// it.
var accelerated = hasAES()

// hasAES looks for SSSE3, SSE4.1 and the AES instructions (leaf 1, ECX bits 9,
// 19 and 25). Their registers are those of SSE2, which every amd64 system
// saves.
func hasAES() bool {
	_, _, features, _ := cpuid(1, 0)
	return features&(1<<9) != 0 && features&(1<<19) != 0 && features&(1<<25) != 0
}

func xorKeyStream(dst, src []byte, key *[32]byte, iv *[16]byte) {
	if !accelerated {
		xorPortable(dst, src, key, iv)
		return
	}
	xorInGroups(dst, src, key, iv)
}
