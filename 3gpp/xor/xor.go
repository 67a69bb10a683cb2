// Package xor is the test algorithm for authentication that test USIMs carry
// (TS 34.108 §8.1.2): f1 to f5* made of exclusive or alone, with which every
// part of AKA can be tried without a secret.
//
// It protects nothing: whoever hears one RAND and one RES of 16 octets knows K.
// A home gives it to test subscribers only.
package xor

import (
	"crypto/subtle"
	"fmt"

	"campanile.network/3gpp/secret"
)

// Cipher is the test algorithm for one card. It is immutable and safe for
// concurrent use; make it with New.
type Cipher struct {
	k      secret.Key128
	resLen int
}

// Format hides the keys under every verb: fmt would print them out of fields
// that are not exported.
func (Cipher) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// New makes the algorithm for a K and a length of RES, which the standard leaves
// open: 4 to 16 octets, 16 suggested. An error for another length.
func New(k secret.Key128, resLen int) (*Cipher, error) {
	if resLen < secret.MinRES || resLen > secret.MaxRES {
		return nil, fmt.Errorf("xor: RES of %d octets, want %d to %d", resLen, secret.MinRES, secret.MaxRES)
	}
	return &Cipher{k: k, resLen: resLen}, nil
}

// F1 computes MAC-A and MAC-S, which are the same function here (TS 34.108
// §8.1.2.1 steps 3 and 4): XDOUT xor SQN || AMF, the first 8 octets.
func (c *Cipher) F1(rand [16]byte, sqn [6]byte, amf [2]byte) (macA, macS [8]byte) {
	xd := c.xdout(&rand)
	copy(macA[:6], sqn[:])
	copy(macA[6:], amf[:])
	subtle.XORBytes(macA[:], macA[:], xd[:])
	return macA, macA
}

// F2345 takes RES, CK, IK and AK out of XDOUT from octet 0, 1, 2 and 3 on, CK
// and IK going round (TS 34.108 §8.1.2.1 step 2).
func (c *Cipher) F2345(rand [16]byte) (res secret.RES, ck, ik secret.Key128, ak [6]byte) {
	xd := c.xdout(&rand)
	res, err := secret.MakeRES(xd[:c.resLen])
	if err != nil {
		panic("xor: a Cipher that New did not make: " + err.Error())
	}
	for i := range xd {
		ck[i], ik[i] = xd[(i+1)&15], xd[(i+2)&15]
	}
	copy(ak[:], xd[3:])
	return res, ck, ik, ak
}

// F12345 computes what F2345 does, and MAC-A.
func (c *Cipher) F12345(rand [16]byte, sqn [6]byte, amf [2]byte) (macA [8]byte, res secret.RES, ck, ik secret.Key128, ak [6]byte) {
	macA, _ = c.F1(rand, sqn, amf)
	res, ck, ik, ak = c.F2345(rand)
	return macA, res, ck, ik, ak
}

// F5Star gives the AK of F2345: the test algorithm has no other
// (TS 34.108 §8.1.2.2).
func (c *Cipher) F5Star(rand [16]byte) (ak [6]byte) {
	xd := c.xdout(&rand)
	copy(ak[:], xd[3:])
	return ak
}

// xdout is step 1: K xor RAND.
func (c *Cipher) xdout(rand *[16]byte) (xd [16]byte) {
	subtle.XORBytes(xd[:], c.k[:], rand[:])
	return xd
}

// GSM is the test algorithm of test SIMs (TS 51.010-1 §A4.1.2): SRES is the first
// 4 octets of Ki xor RAND, Kc the next 8. A test USIM asked as a SIM answers
// otherwise: by the conversion functions c2 and c3 from its UMTS values.
func GSM(ki secret.Key128, rand [16]byte) (sres [4]byte, kc secret.Key64) {
	subtle.XORBytes(sres[:], ki[:4], rand[:4])
	subtle.XORBytes(kc[:], ki[4:12], rand[4:12])
	return sres, kc
}
