// Package milenage computes the authentication functions f1, f1*, f2, f3, f4,
// f5 and f5* of TS 35.205 and TS 35.206 with AES-128 as kernel and the
// published constants c1..c5 and r1..r5.
//
// It knows nothing of sequence number management, AUTN or vectors: that is
// package aka. Operator-chosen constants are not supported. AES comes from the
// standard library, which runs in constant time on machines with AES
// instructions; nothing here branches or looks up by a secret.
package milenage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"

	"campanile.network/3gpp/secret"
)

// Cipher is Milenage for one subscriber: the expanded key K and OPc. It is
// immutable and safe for concurrent use. Make it with New.
type Cipher struct {
	block cipher.Block
	opc   [16]byte
}

// New expands K once; every later call only encrypts. It allocates the cipher.
func New(k, opc secret.Key128) *Cipher {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic("milenage: 16-byte AES key refused: " + err.Error())
	}
	return &Cipher{block: b, opc: opc}
}

// OPc derives OPc from the operator's OP under a subscriber's K
// (TS 35.206 §4.1): OPc = OP xor E_K(OP).
func OPc(k, op secret.Key128) secret.Key128 {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic("milenage: 16-byte AES key refused: " + err.Error())
	}
	var opc secret.Key128
	b.Encrypt(opc[:], op[:])
	subtle.XORBytes(opc[:], opc[:], op[:])
	return opc
}

// Vector holds everything the functions yield for one RAND, SQN and AMF.
type Vector struct {
	MACA [8]byte       // f1: network authentication code
	MACS [8]byte       // f1*: resynchronisation code (over the same SQN, AMF)
	RES  secret.RES    // f2, 8 octets
	CK   secret.Key128 // f3
	IK   secret.Key128 // f4
	AK   [6]byte       // f5
	AKS  [6]byte       // f5*
}

// work is scratch that would escape through the cipher.Block interface; one
// heap object per call instead of one per block.
type work struct{ temp, in, out [16]byte }

// F1 computes f1 and f1* (TS 35.206 §4.1: OUT1) for a RAND, a 48-bit SQN and
// an AMF.
func (c *Cipher) F1(rand [16]byte, sqn [6]byte, amf [2]byte) (macA, macS [8]byte) {
	var w work
	c.start(&w, &rand)
	c.f1(&w, &sqn, &amf)
	copy(macA[:], w.out[:8])
	copy(macS[:], w.out[8:])
	return macA, macS
}

// F2345 computes f2, f3, f4 and f5 (TS 35.206 §4.1: OUT2, OUT3, OUT4).
func (c *Cipher) F2345(rand [16]byte) (res secret.RES, ck, ik secret.Key128, ak [6]byte) {
	var w work
	c.start(&w, &rand)
	return c.f2345(&w)
}

// F12345 computes f1 to f5 with one pass of the shared first block: what a
// network's vector is made of. Five AES operations, one allocation.
func (c *Cipher) F12345(rand [16]byte, sqn [6]byte, amf [2]byte) (macA [8]byte, res secret.RES, ck, ik secret.Key128, ak [6]byte) {
	var w work
	c.start(&w, &rand)
	c.f1(&w, &sqn, &amf)
	copy(macA[:], w.out[:8])
	res, ck, ik, ak = c.f2345(&w)
	return macA, res, ck, ik, ak
}

// F5Star computes f5*, the anonymity key of a resynchronisation token
// (TS 35.206 §4.1: OUT5).
func (c *Cipher) F5Star(rand [16]byte) (ak [6]byte) {
	var w work
	c.start(&w, &rand)
	c.outN(&w, 12, 8)
	copy(ak[:], w.out[:6])
	return ak
}

// Compute gives all seven functions of one RAND, SQN and AMF with one pass of
// the shared first block: six AES operations, one allocation.
func (c *Cipher) Compute(rand [16]byte, sqn [6]byte, amf [2]byte) (v Vector) {
	var w work
	c.start(&w, &rand)
	c.f1(&w, &sqn, &amf)
	copy(v.MACA[:], w.out[:8])
	copy(v.MACS[:], w.out[8:])
	v.RES, v.CK, v.IK, v.AK = c.f2345(&w)
	c.outN(&w, 12, 8)
	copy(v.AKS[:], w.out[:6])
	return v
}

// start sets TEMP = E_K(RAND xor OPc).
func (c *Cipher) start(w *work, rand *[16]byte) {
	xor(&w.in, rand, &c.opc)
	c.block.Encrypt(w.temp[:], w.in[:])
}

// f1 sets out = E_K(TEMP xor rot(IN1 xor OPc, 64) xor c1) xor OPc, with
// IN1 = SQN || AMF || SQN || AMF, r1 = 64 bits and c1 = 0.
func (c *Cipher) f1(w *work, sqn *[6]byte, amf *[2]byte) {
	copy(w.in[0:], sqn[:])
	copy(w.in[6:], amf[:])
	copy(w.in[8:], sqn[:])
	copy(w.in[14:], amf[:])
	for i := range w.in[:8] { // rot by 64 bits swaps the halves of OPc; IN1's are equal
		w.in[i] ^= c.opc[i+8] ^ w.temp[i]
		w.in[i+8] ^= c.opc[i] ^ w.temp[i+8]
	}
	c.block.Encrypt(w.out[:], w.in[:])
	xor(&w.out, &w.out, &c.opc)
}

// f2345 takes f2 and f5 out of OUT2, f3 out of OUT3, f4 out of OUT4.
func (c *Cipher) f2345(w *work) (res secret.RES, ck, ik secret.Key128, ak [6]byte) {
	c.outN(w, 0, 1)
	copy(ak[:], w.out[:6])
	res = secret.RES64([8]byte(w.out[8:]))
	c.outN(w, 4, 2)
	ck = w.out
	c.outN(w, 8, 4)
	ik = w.out
	return res, ck, ik, ak
}

// outN sets out = E_K(rot(TEMP xor OPc, r) xor c) xor OPc. from is 0 or the
// octet that a left rotation by r bits brings to the front (r/8); last is the
// low octet of the constant.
func (c *Cipher) outN(w *work, from int, last byte) {
	for i := range w.in {
		j := (i + from) & 15
		w.in[i] = w.temp[j] ^ c.opc[j]
	}
	w.in[15] ^= last
	c.block.Encrypt(w.out[:], w.in[:])
	xor(&w.out, &w.out, &c.opc)
}

func xor(dst, a, b *[16]byte) { subtle.XORBytes(dst[:], a[:], b[:]) }
