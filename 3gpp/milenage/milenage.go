// Package milenage computes the authentication functions f1, f1*, f2, f3, f4,
// f5 and f5* of TS 35.205 and TS 35.206 with AES-128 as kernel and the
// published constants c1..c5 and r1..r5.
//
// It knows nothing of sequence number management, AUTN or vectors: that is
// package aka. Operator-chosen constants are not supported. AES is the
// processor's, in constant time, or the standard library's where it has no
// instructions for it; nothing here branches or looks up by a secret.
package milenage

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"campanile.network/3gpp/internal/aes128"
	"campanile.network/3gpp/secret"
)

// Cipher is Milenage for one subscriber: the expanded key K and OPc. It is
// immutable and safe for concurrent use. Make it with New.
type Cipher struct {
	key aes128.Key
	opc word
}

// Format hides the keys under every verb: fmt would print them out of fields
// that are not exported.
func (Cipher) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// word is a value of 128 bits.
type word struct{ hi, lo uint64 }

func wordOf(b *[16]byte) word {
	return word{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (w word) xor(o word) word { return word{w.hi ^ o.hi, w.lo ^ o.lo} }

// New expands K once; every later call only encrypts. It allocates the cipher.
func New(k, opc secret.Key128) *Cipher {
	return &Cipher{aes128.Expand(k), wordOf((*[16]byte)(&opc))}
}

// OPc derives OPc from the operator's OP under a subscriber's K
// (TS 35.206 §4.1): OPc = OP xor E_K(OP).
func OPc(k, op secret.Key128) secret.Key128 {
	var opc [16]byte
	key := aes128.Expand(k)
	key.Encrypt(&opc, (*[16]byte)(&op))
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

// F1 computes f1 and f1* (TS 35.206 §4.1: OUT1) for a RAND, a 48-bit SQN and
// an AMF.
func (c *Cipher) F1(rand [16]byte, sqn [6]byte, amf [2]byte) (macA, macS [8]byte) {
	w := c.start(&rand)
	return w.f1(&sqn, &amf)
}

// F2345 computes f2, f3, f4 and f5 (TS 35.206 §4.1: OUT2, OUT3, OUT4).
func (c *Cipher) F2345(rand [16]byte) (res secret.RES, ck, ik secret.Key128, ak [6]byte) {
	w := c.start(&rand)
	return w.f2345()
}

// F12345 computes f1 to f5 with one pass of the shared first block: what a
// network's vector is made of. Five AES operations, one allocation.
func (c *Cipher) F12345(rand [16]byte, sqn [6]byte, amf [2]byte) (macA [8]byte, res secret.RES, ck, ik secret.Key128, ak [6]byte) {
	w := c.start(&rand)
	macA, _ = w.f1(&sqn, &amf)
	res, ck, ik, ak = w.f2345()
	return macA, res, ck, ik, ak
}

// F5Star computes f5*, the anonymity key of a resynchronisation token
// (TS 35.206 §4.1: OUT5).
func (c *Cipher) F5Star(rand [16]byte) (ak [6]byte) {
	w := c.start(&rand)
	return w.f5Star()
}

// Compute gives all seven functions of one RAND, SQN and AMF with one pass of
// the shared first block: six AES operations, one allocation.
func (c *Cipher) Compute(rand [16]byte, sqn [6]byte, amf [2]byte) (v Vector) {
	w := c.start(&rand)
	v.MACA, v.MACS = w.f1(&sqn, &amf)
	v.RES, v.CK, v.IK, v.AK = w.f2345()
	v.AKS = w.f5Star()
	return v
}

// work is one computation.
type work struct {
	*Cipher
	temp word // TEMP xor OPc
}

// start computes TEMP = E_K(RAND xor OPc) (TS 35.206 §4.1).
func (c *Cipher) start(rand *[16]byte) work {
	w := work{Cipher: c}
	w.temp = w.out(wordOf(rand).xor(c.opc))
	return w
}

// out gives E_K(in) xor OPc.
func (c *Cipher) out(in word) word {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], in.hi)
	binary.BigEndian.PutUint64(b[8:], in.lo)
	c.key.Encrypt(&b, &b)
	return wordOf(&b).xor(c.opc)
}

// f1 is OUT1 = E_K(TEMP xor rot(IN1 xor OPc, 64) xor c1) xor OPc with IN1 = SQN ||
// AMF || SQN || AMF and c1 = 0. Rotation by 64 bits changes the halves; those of
// IN1 are equal.
func (w work) f1(sqn *[6]byte, amf *[2]byte) (macA, macS [8]byte) {
	var in1 [8]byte
	copy(in1[:], sqn[:])
	copy(in1[6:], amf[:])
	half := binary.BigEndian.Uint64(in1[:]) ^ w.opc.hi ^ w.opc.lo // temp has OPc already
	o := w.out(w.temp.xor(word{half, half}))
	binary.BigEndian.PutUint64(macA[:], o.hi)
	binary.BigEndian.PutUint64(macS[:], o.lo)
	return macA, macS
}

// f2345 is OUT2 to OUT4: E_K(rot(TEMP xor OPc, r) xor c) xor OPc with r2 = 0,
// c2 = 1, r3 = 32, c3 = 2, r4 = 64, c4 = 4.
func (w work) f2345() (res secret.RES, ck, ik secret.Key128, ak [6]byte) {
	t := w.temp
	w.out(word{t.hi, t.lo ^ 1}).put(&ck)
	copy(ak[:], ck[:6])
	res = secret.RES64([8]byte(ck[8:]))
	w.out(word{t.hi<<32 | t.lo>>32, t.lo<<32 | t.hi>>32 ^ 2}).put(&ck)
	w.out(word{t.lo, t.hi ^ 4}).put(&ik)
	return res, ck, ik, ak
}

// f5Star is OUT5, as f2345 with r5 = 96, c5 = 8.
func (w work) f5Star() (ak [6]byte) {
	var o secret.Key128
	t := w.temp
	w.out(word{t.lo<<32 | t.hi>>32, t.hi<<32 | t.lo>>32 ^ 8}).put(&o)
	copy(ak[:], o[:])
	return ak
}

func (w word) put(b *secret.Key128) {
	binary.BigEndian.PutUint64(b[:8], w.hi)
	binary.BigEndian.PutUint64(b[8:], w.lo)
}
