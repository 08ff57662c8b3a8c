//go:build !purego

#include "textflag.h"

// SHA-256 (FIPS 180-4) with the SHA extensions.
//
// The instructions want the eight words of a state in two registers, here
// called ABEF and CDGH, named from the highest lane to the lowest. Four words
// of the message schedule lie in one register, the first in the lowest lane.
// X0 is the implicit operand of SHA256RNDS2: two words of the schedule with
// their constants added, in its low half.

// The round constants: the first 32 bits of the fractional parts of the cube
// roots of the first 64 primes.
DATA roundConstants<>+0x00(SB)/8, $0x71374491428a2f98
DATA roundConstants<>+0x08(SB)/8, $0xe9b5dba5b5c0fbcf
DATA roundConstants<>+0x10(SB)/8, $0x59f111f13956c25b
DATA roundConstants<>+0x18(SB)/8, $0xab1c5ed5923f82a4
DATA roundConstants<>+0x20(SB)/8, $0x12835b01d807aa98
DATA roundConstants<>+0x28(SB)/8, $0x550c7dc3243185be
DATA roundConstants<>+0x30(SB)/8, $0x80deb1fe72be5d74
DATA roundConstants<>+0x38(SB)/8, $0xc19bf1749bdc06a7
DATA roundConstants<>+0x40(SB)/8, $0xefbe4786e49b69c1
DATA roundConstants<>+0x48(SB)/8, $0x240ca1cc0fc19dc6
DATA roundConstants<>+0x50(SB)/8, $0x4a7484aa2de92c6f
DATA roundConstants<>+0x58(SB)/8, $0x76f988da5cb0a9dc
DATA roundConstants<>+0x60(SB)/8, $0xa831c66d983e5152
DATA roundConstants<>+0x68(SB)/8, $0xbf597fc7b00327c8
DATA roundConstants<>+0x70(SB)/8, $0xd5a79147c6e00bf3
DATA roundConstants<>+0x78(SB)/8, $0x1429296706ca6351
DATA roundConstants<>+0x80(SB)/8, $0x2e1b213827b70a85
DATA roundConstants<>+0x88(SB)/8, $0x53380d134d2c6dfc
DATA roundConstants<>+0x90(SB)/8, $0x766a0abb650a7354
DATA roundConstants<>+0x98(SB)/8, $0x92722c8581c2c92e
DATA roundConstants<>+0xa0(SB)/8, $0xa81a664ba2bfe8a1
DATA roundConstants<>+0xa8(SB)/8, $0xc76c51a3c24b8b70
DATA roundConstants<>+0xb0(SB)/8, $0xd6990624d192e819
DATA roundConstants<>+0xb8(SB)/8, $0x106aa070f40e3585
DATA roundConstants<>+0xc0(SB)/8, $0x1e376c0819a4c116
DATA roundConstants<>+0xc8(SB)/8, $0x34b0bcb52748774c
DATA roundConstants<>+0xd0(SB)/8, $0x4ed8aa4a391c0cb3
DATA roundConstants<>+0xd8(SB)/8, $0x682e6ff35b9cca4f
DATA roundConstants<>+0xe0(SB)/8, $0x78a5636f748f82ee
DATA roundConstants<>+0xe8(SB)/8, $0x8cc7020884c87814
DATA roundConstants<>+0xf0(SB)/8, $0xa4506ceb90befffa
DATA roundConstants<>+0xf8(SB)/8, $0xc67178f2bef9a3f7
GLOBL roundConstants<>(SB), RODATA|NOPTR, $256

// The state that every hash starts with, as ABEF and CDGH: the first 32 bits of
// the fractional parts of the square roots of the first eight primes.
DATA start<>+0x00(SB)/8, $0x510e527f9b05688c
DATA start<>+0x08(SB)/8, $0x6a09e667bb67ae85
DATA start<>+0x10(SB)/8, $0x1f83d9ab5be0cd19
DATA start<>+0x18(SB)/8, $0x3c6ef372a54ff53a
GLOBL start<>(SB), RODATA|NOPTR, $32

// Shuffles: the bytes of each word in reverse, and all sixteen bytes in reverse.
DATA shuffles<>+0x00(SB)/8, $0x0405060700010203
DATA shuffles<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
DATA shuffles<>+0x10(SB)/8, $0x08090a0b0c0d0e0f
DATA shuffles<>+0x18(SB)/8, $0x0001020304050607
GLOBL shuffles<>(SB), RODATA|NOPTR, $32

// The pads of HMAC.
DATA pads<>+0x00(SB)/8, $0x3636363636363636
DATA pads<>+0x08(SB)/8, $0x3636363636363636
DATA pads<>+0x10(SB)/8, $0x5c5c5c5c5c5c5c5c
DATA pads<>+0x18(SB)/8, $0x5c5c5c5c5c5c5c5c
GLOBL pads<>(SB), RODATA|NOPTR, $32

#define WORDS shuffles<>+0x00(SB)
#define WHOLE shuffles<>+0x10(SB)

// LOADSTATE reads the 32 bytes of a state at p; whole holds the second shuffle.
// Reversed, the halves have A and E in their highest lanes.
#define LOADSTATE(p, abef, cdgh, whole, t) \
	MOVOU      0(p), t;     \
	MOVOU      16(p), cdgh; \
	PSHUFB     whole, t;    \
	PSHUFB     whole, cdgh; \
	MOVO       cdgh, abef;  \
	PUNPCKHQDQ t, abef;     \
	PUNPCKLQDQ t, cdgh

// STORESTATE writes a state to p and spoils its registers.
#define STORESTATE(p, abef, cdgh, whole, t) \
	MOVO       cdgh, t;    \
	PUNPCKHQDQ abef, t;    \
	PUNPCKLQDQ abef, cdgh; \
	PSHUFB     whole, t;   \
	PSHUFB     whole, cdgh; \
	MOVOU      t, 0(p);    \
	MOVOU      cdgh, 16(p)

// LOADBLOCK reads a block at p; words holds the first shuffle.
#define LOADBLOCK(p, m0, m1, m2, m3, words) \
	MOVOU  0(p), m0;  \
	MOVOU  16(p), m1; \
	MOVOU  32(p), m2; \
	MOVOU  48(p), m3; \
	PSHUFB words, m0; \
	PSHUFB words, m1; \
	PSHUFB words, m2; \
	PSHUFB words, m3

// ROUNDS runs rounds 4g to 4g+3; m holds their words. The first instruction of
// a pair leaves the new ABEF in the register of the old CDGH, and the old ABEF
// is the new CDGH; the second one turns them back.
#define ROUNDS(g, m, abef, cdgh) \
	MOVOU       (16*g)(AX), X0;  \
	PADDL       m, X0;           \
	SHA256RNDS2 X0, abef, cdgh;  \
	PSHUFD      $0x0e, X0, X0;   \
	SHA256RNDS2 X0, cdgh, abef

// EXTEND replaces m0, the oldest of the last sixteen words, by the next four:
// W[i] = W[i-16] + s0(W[i-15]) + W[i-7] + s1(W[i-2]).
#define EXTEND(m0, m1, m2, m3, t) \
	SHA256MSG1 m1, m0;    \
	MOVO       m3, t;     \
	PALIGNR    $4, m2, t; \
	PADDL      t, m0;     \
	SHA256MSG2 m3, m0

// One hash: its state in X1 and X2, its words in X3 to X6.
#define ROUNDS1(g, m) ROUNDS(g, m, X1, X2)
#define NEXT1(g, m0, m1, m2, m3) \
	EXTEND(m0, m1, m2, m3, X7); \
	ROUNDS1(g, m0)

#define ALLROUNDS1 \
	ROUNDS1(0, X3); \
	ROUNDS1(1, X4); \
	ROUNDS1(2, X5); \
	ROUNDS1(3, X6); \
	NEXT1(4, X3, X4, X5, X6);  \
	NEXT1(5, X4, X5, X6, X3);  \
	NEXT1(6, X5, X6, X3, X4);  \
	NEXT1(7, X6, X3, X4, X5);  \
	NEXT1(8, X3, X4, X5, X6);  \
	NEXT1(9, X4, X5, X6, X3);  \
	NEXT1(10, X5, X6, X3, X4); \
	NEXT1(11, X6, X3, X4, X5); \
	NEXT1(12, X3, X4, X5, X6); \
	NEXT1(13, X4, X5, X6, X3); \
	NEXT1(14, X5, X6, X3, X4); \
	NEXT1(15, X6, X3, X4, X5)

// Two hashes: the first as above, the second with its state in X8 and X9, its
// words in X10 to X13.
#define ROUNDS2(g, m, w) \
	ROUNDS(g, m, X1, X2); \
	ROUNDS(g, w, X8, X9)
#define NEXT2(g, m0, m1, m2, m3, w0, w1, w2, w3) \
	EXTEND(m0, m1, m2, m3, X7);  \
	EXTEND(w0, w1, w2, w3, X14); \
	ROUNDS2(g, m0, w0)

#define ALLROUNDS2 \
	ROUNDS2(0, X3, X10); \
	ROUNDS2(1, X4, X11); \
	ROUNDS2(2, X5, X12); \
	ROUNDS2(3, X6, X13); \
	NEXT2(4, X3, X4, X5, X6, X10, X11, X12, X13);  \
	NEXT2(5, X4, X5, X6, X3, X11, X12, X13, X10);  \
	NEXT2(6, X5, X6, X3, X4, X12, X13, X10, X11);  \
	NEXT2(7, X6, X3, X4, X5, X13, X10, X11, X12);  \
	NEXT2(8, X3, X4, X5, X6, X10, X11, X12, X13);  \
	NEXT2(9, X4, X5, X6, X3, X11, X12, X13, X10);  \
	NEXT2(10, X5, X6, X3, X4, X12, X13, X10, X11); \
	NEXT2(11, X6, X3, X4, X5, X13, X10, X11, X12); \
	NEXT2(12, X3, X4, X5, X6, X10, X11, X12, X13); \
	NEXT2(13, X4, X5, X6, X3, X11, X12, X13, X10); \
	NEXT2(14, X5, X6, X3, X4, X12, X13, X10, X11); \
	NEXT2(15, X6, X3, X4, X5, X13, X10, X11, X12)

// func Compress(result, state *[Size]byte, p *byte, n int)
TEXT ·Compress(SB), NOSPLIT, $0-32
	MOVQ  result+0(FP), DI
	MOVQ  state+8(FP), SI
	MOVQ  p+16(FP), BX
	MOVQ  n+24(FP), CX
	LEAQ  roundConstants<>(SB), AX
	MOVOU WORDS, X8
	MOVOU WHOLE, X9
	LOADSTATE(SI, X1, X2, X9, X7)

block:
	MOVO X1, X10
	MOVO X2, X11
	LOADBLOCK(BX, X3, X4, X5, X6, X8)
	ALLROUNDS1
	PADDL X10, X1
	PADDL X11, X2
	ADDQ $64, BX
	SUBQ $1, CX
	JNZ  block

	STORESTATE(DI, X1, X2, X9, X7)
	RET

// func CompressPair(resultA, resultB, state *[Size]byte, a, b *[BlockSize]byte)
TEXT ·CompressPair(SB), NOSPLIT, $0-40
	MOVQ  resultA+0(FP), DI
	MOVQ  resultB+8(FP), DX
	MOVQ  state+16(FP), SI
	MOVQ  a+24(FP), BX
	MOVQ  b+32(FP), CX
	LEAQ  roundConstants<>(SB), AX
	MOVOU WORDS, X7
	LOADBLOCK(BX, X3, X4, X5, X6, X7)
	LOADBLOCK(CX, X10, X11, X12, X13, X7)
	MOVOU WHOLE, X7
	LOADSTATE(SI, X1, X2, X7, X14)
	MOVO  X1, X8
	MOVO  X2, X9
	ALLROUNDS2
	MOVOU WHOLE, X7
	LOADSTATE(SI, X3, X4, X7, X14)
	PADDL X3, X1
	PADDL X4, X2
	PADDL X3, X8
	PADDL X4, X9
	STORESTATE(DI, X1, X2, X7, X14)
	STORESTATE(DX, X8, X9, X7, X14)
	RET

// func KeyStates(inner, outer, key *[Size]byte)
TEXT ·KeyStates(SB), NOSPLIT, $0-24
	MOVQ  inner+0(FP), DI
	MOVQ  outer+8(FP), DX
	MOVQ  key+16(FP), SI
	LEAQ  roundConstants<>(SB), AX
	MOVOU WORDS, X7
	MOVOU 0(SI), X3
	MOVOU 16(SI), X4
	PSHUFB X7, X3
	PSHUFB X7, X4
	MOVO  X3, X10
	MOVO  X4, X11

	// The pads are the same in each byte: no order to keep.
	MOVOU pads<>+0x00(SB), X5
	MOVO  X5, X6
	PXOR  X5, X3
	PXOR  X5, X4
	MOVOU pads<>+0x10(SB), X12
	MOVO  X12, X13
	PXOR  X12, X10
	PXOR  X12, X11
	MOVOU start<>+0x00(SB), X1
	MOVOU start<>+0x10(SB), X2
	MOVO  X1, X8
	MOVO  X2, X9
	ALLROUNDS2
	MOVOU start<>+0x00(SB), X3
	MOVOU start<>+0x10(SB), X4
	PADDL X3, X1
	PADDL X4, X2
	PADDL X3, X8
	PADDL X4, X9
	MOVOU WHOLE, X7
	STORESTATE(DI, X1, X2, X7, X14)
	STORESTATE(DX, X8, X9, X7, X14)
	RET

// func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL subleaf+4(FP), CX
	CPUID
	MOVL AX, eax+8(FP)
	MOVL BX, ebx+12(FP)
	MOVL CX, ecx+16(FP)
	MOVL DX, edx+20(FP)
	RET
