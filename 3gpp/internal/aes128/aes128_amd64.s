#include "textflag.h"

// func hasAES() bool
TEXT ·hasAES(SB), NOSPLIT, $0-1
	MOVL $1, AX
	XORL CX, CX
	CPUID
	SHRL $25, CX // CPUID.1:ECX.AESNI
	ANDL $1, CX
	MOVB CX, ret+0(FP)
	RET

// next makes a round key of the one in X0 and what AESKEYGENASSIST has left in
// X1: each word is the sum of those before it, and of the rotated last.
TEXT next<>(SB), NOSPLIT, $0
	ADDQ   $16, DI
	PSHUFD $0xff, X1, X1
	MOVO   X0, X2
	PSLLO  $4, X2
	PXOR   X2, X0
	PSLLO  $4, X2
	PXOR   X2, X0
	PSLLO  $4, X2
	PXOR   X2, X0
	PXOR   X1, X0
	MOVOU  X0, (DI)
	RET

// func expand(round *[11][16]byte, key *[16]byte)
TEXT ·expand(SB), NOSPLIT, $0-16
	MOVQ  round+0(FP), DI
	MOVQ  key+8(FP), SI
	MOVOU (SI), X0
	MOVOU X0, (DI)
	AESKEYGENASSIST $0x01, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x02, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x04, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x08, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x10, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x20, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x40, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x80, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x1b, X0, X1
	CALL  next<>(SB)
	AESKEYGENASSIST $0x36, X0, X1
	CALL  next<>(SB)
	RET

// keys loads the round keys at AX into X1 to X11.
#define keys \
	MOVOU 0(AX), X1; \
	MOVOU 16(AX), X2; \
	MOVOU 32(AX), X3; \
	MOVOU 48(AX), X4; \
	MOVOU 64(AX), X5; \
	MOVOU 80(AX), X6; \
	MOVOU 96(AX), X7; \
	MOVOU 112(AX), X8; \
	MOVOU 128(AX), X9; \
	MOVOU 144(AX), X10; \
	MOVOU 160(AX), X11

// rounds encrypts X0.
#define rounds \
	PXOR X1, X0; \
	AESENC X2, X0; \
	AESENC X3, X0; \
	AESENC X4, X0; \
	AESENC X5, X0; \
	AESENC X6, X0; \
	AESENC X7, X0; \
	AESENC X8, X0; \
	AESENC X9, X0; \
	AESENC X10, X0; \
	AESENCLAST X11, X0

// func encrypt(round *[11][16]byte, dst, src *[16]byte)
TEXT ·encrypt(SB), NOSPLIT, $0-24
	MOVQ  round+0(FP), AX
	MOVQ  dst+8(FP), DI
	MOVQ  src+16(FP), SI
	MOVOU (SI), X0
	keys
	rounds
	MOVOU X0, (DI)
	RET

// func chain(round *[11][16]byte, state *[16]byte, data *byte, blocks int)
TEXT ·chain(SB), NOSPLIT, $0-32
	MOVQ  round+0(FP), AX
	MOVQ  state+8(FP), DI
	MOVQ  data+16(FP), SI
	MOVQ  blocks+24(FP), CX
	MOVOU (DI), X0
	keys

more:
	MOVOU (SI), X12
	PXOR  X12, X0
	rounds
	ADDQ  $16, SI
	DECQ  CX
	JNZ   more
	MOVOU X0, (DI)
	RET
