//go:build !purego

#include "textflag.h"

// AES-256 (FIPS 197) with the AES instructions, eight blocks at a time: a
// round waits for the round before it, and the other blocks are computed
// meanwhile.

// Shuffles: all sixteen bytes in reverse; and the last word, its bytes rotated
// by one, in all four places.
DATA shuffles<>+0x00(SB)/8, $0x08090a0b0c0d0e0f
DATA shuffles<>+0x08(SB)/8, $0x0001020304050607
DATA shuffles<>+0x10(SB)/8, $0x0c0f0e0d0c0f0e0d
DATA shuffles<>+0x18(SB)/8, $0x0c0f0e0d0c0f0e0d
GLOBL shuffles<>(SB), RODATA|NOPTR, $32

// The first round constant, in all four words. The others are its doubles.
DATA firstConstant<>+0x00(SB)/8, $0x0000000100000001
DATA firstConstant<>+0x08(SB)/8, $0x0000000100000001
GLOBL firstConstant<>(SB), RODATA|NOPTR, $16

// COUNTER makes the block of the counter in R8 (high) and R9 (low), and counts
// on; reverse holds the first shuffle.
#define COUNTER(x, reverse) \
	MOVQ   R9, x;       \
	PINSRQ $1, R8, x;   \
	PSHUFB reverse, x;  \
	ADDQ   $1, R9;      \
	ADCQ   $0, R8

#define COUNTERS(reverse) \
	COUNTER(X0, reverse); \
	COUNTER(X1, reverse); \
	COUNTER(X2, reverse); \
	COUNTER(X3, reverse); \
	COUNTER(X4, reverse); \
	COUNTER(X5, reverse); \
	COUNTER(X6, reverse); \
	COUNTER(X7, reverse)

// ALL runs one instruction with the round key k over the eight blocks.
#define ALL(instruction, k) \
	instruction k, X0; \
	instruction k, X1; \
	instruction k, X2; \
	instruction k, X3; \
	instruction k, X4; \
	instruction k, X5; \
	instruction k, X6; \
	instruction k, X7

// SUMS replaces each word of k by its sum with those before it.
#define SUMS(k, t) \
	MOVO   k, t;  \
	PSLLDQ $4, t; \
	PXOR   t, k;  \
	MOVO   k, t;  \
	PSLLDQ $8, t; \
	PXOR   t, k

// A round key is the sums of the one two before it, with S(w) added to each
// word. w is the last word of the round key before it. AESENCLAST does it: its
// row shift moves nothing where the four words are equal, and its key is added
// behind the substitution. The last two round keys are in X8 (even) and X9.

// EVEN makes the next even round key, for which w is rotated and a constant
// added. X11 holds the constant, X12 the second shuffle.
#define EVEN \
	SUMS(X8, X10);        \
	PXOR       X11, X8;   \
	PSLLL      $1, X11;   \
	MOVO       X9, X10;   \
	PSHUFB     X12, X10;  \
	AESENCLAST X8, X10;   \
	MOVO       X10, X8

#define ODD \
	SUMS(X9, X10);             \
	PSHUFD     $0xff, X8, X10; \
	AESENCLAST X9, X10;        \
	MOVO       X10, X9

// KEEP stores round key i.
#define KEEP(i, k) MOVOU k, (16*(i))(DX)

// TWOROUNDS makes round keys i and i+1 and runs their rounds.
#define TWOROUNDS(i) \
	EVEN;            \
	KEEP(i, X8);     \
	ALL(AESENC, X8); \
	ODD;             \
	KEEP(i+1, X9);   \
	ALL(AESENC, X9)

// func firstGroup(stream *[groupSize]byte, keys *roundKeys, key *[32]byte, high, low uint64)
TEXT ·firstGroup(SB), NOSPLIT, $0-40
	MOVQ  stream+0(FP), DI
	MOVQ  keys+8(FP), DX
	MOVQ  key+16(FP), SI
	MOVQ  high+24(FP), R8
	MOVQ  low+32(FP), R9
	MOVOU 0(SI), X8
	MOVOU 16(SI), X9
	MOVOU firstConstant<>(SB), X11
	MOVOU shuffles<>+0x10(SB), X12
	MOVOU shuffles<>+0x00(SB), X13
	COUNTERS(X13)
	KEEP(0, X8)
	ALL(PXOR, X8)
	KEEP(1, X9)
	ALL(AESENC, X9)
	TWOROUNDS(2)
	TWOROUNDS(4)
	TWOROUNDS(6)
	TWOROUNDS(8)
	TWOROUNDS(10)
	TWOROUNDS(12)
	EVEN
	KEEP(14, X8)
	ALL(AESENCLAST, X8)
	MOVOU X0, 0(DI)
	MOVOU X1, 16(DI)
	MOVOU X2, 32(DI)
	MOVOU X3, 48(DI)
	MOVOU X4, 64(DI)
	MOVOU X5, 80(DI)
	MOVOU X6, 96(DI)
	MOVOU X7, 112(DI)
	RET

// ROUND runs the round of round key i over the eight blocks.
#define ROUND(i, instruction) \
	MOVOU (16*i)(DX), X8; \
	ALL(instruction, X8)

// ADDTO adds block i of the source to x and stores it at the destination.
#define ADDTO(i, x) \
	MOVOU (16*i)(SI), X9; \
	PXOR  X9, x;          \
	MOVOU x, (16*i)(DI)

// func xorGroups(dst, src *byte, n int, keys *roundKeys, high, low uint64)
TEXT ·xorGroups(SB), NOSPLIT, $0-48
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	MOVQ  keys+24(FP), DX
	MOVQ  high+32(FP), R8
	MOVQ  low+40(FP), R9
	MOVOU shuffles<>+0x00(SB), X13

group:
	COUNTERS(X13)
	ROUND(0, PXOR)
	ROUND(1, AESENC)
	ROUND(2, AESENC)
	ROUND(3, AESENC)
	ROUND(4, AESENC)
	ROUND(5, AESENC)
	ROUND(6, AESENC)
	ROUND(7, AESENC)
	ROUND(8, AESENC)
	ROUND(9, AESENC)
	ROUND(10, AESENC)
	ROUND(11, AESENC)
	ROUND(12, AESENC)
	ROUND(13, AESENC)
	ROUND(14, AESENCLAST)
	ADDTO(0, X0)
	ADDTO(1, X1)
	ADDTO(2, X2)
	ADDTO(3, X3)
	ADDTO(4, X4)
	ADDTO(5, X5)
	ADDTO(6, X6)
	ADDTO(7, X7)
	ADDQ $128, SI
	ADDQ $128, DI
	SUBQ $1, CX
	JNZ  group
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
