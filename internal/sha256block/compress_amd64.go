//go:build !purego

package sha256block

const (
	// Size is the length of a hash state and of a sum, in bytes: eight words
	// big-endian, so that the last state of a hash is its sum.
	Size = 32
	// BlockSize is in bytes.
	BlockSize = 64
	// MaxBlocks bounds one call of Compress, since assembly is not interrupted.
	MaxBlocks = 1024
)

// Compress runs the compression function over n blocks (1 to MaxBlocks) that
// begin at p, starting from state; the result may take the place of state or of
// the blocks.
//
//go:noescape
func Compress(result, state *[Size]byte, p *byte, n int)

// CompressPair runs it over one block for each of two results that start from
// the same state; they may take the place of the blocks. The two run side by
// side: a round waits for the one before it, and the other hash is computed
// meanwhile.
//
//go:noescape
func CompressPair(resultA, resultB, state *[Size]byte, a, b *[BlockSize]byte)

// KeyStates gives the two states that an HMAC under a key begins with, those
// after one block of the padded key, side by side.
//
//go:noescape
func KeyStates(inner, outer, key *[Size]byte)

//go:noescape
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// Available tells whether the processor has what the functions use; otherwise
// they must not be called. They need SSSE3 and SSE4.1 (leaf 1, ECX bits 9 and
// 19) and the SHA extensions (leaf 7, EBX bit 29). Their registers are those of
// SSE2, which every amd64 system saves.
func Available() bool {
	if highest, _, _, _ := cpuid(0, 0); highest < 7 {
		return false
	}
	_, _, features, _ := cpuid(1, 0)
	_, extended, _, _ := cpuid(7, 0)
	return features&(1<<9) != 0 && features&(1<<19) != 0 && extended&(1<<29) != 0
}
