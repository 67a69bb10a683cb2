// Package aka is the Authentication and Key Agreement of TS 33.102 and its EPS
// form in TS 33.401: authentication vectors, AUTN and AUTS, sequence numbers
// as a rule for the network (TS 33.102 §C.1.1.3) and as the array in the card
// (TS 33.102 §C.2), the conversions between UMTS and GSM, and the key
// derivations of TS 33.401 §A.
//
// It holds no subscriber, store, clock or random source: RAND, the clock's tick
// and the last sequence number come in, values go out. It computes no f1..f5*
// itself: an Algorithm does, package milenage or package xor. Comparisons of
// codes and responses take constant time.
package aka

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
)

// Errors of authentication. The first two and SynchFailure have an EMM cause
// (TS 24.301 §9.9.3.9): see Cause.
var (
	ErrMAC    = errors.New("aka: MAC failure: AUTN is not from the home of this key (EMM cause #20)")
	ErrNonEPS = errors.New("aka: AMF separation bit is 0: non-EPS authentication unacceptable (EMM cause #26)")
	ErrAUTS   = errors.New("aka: MAC-S of AUTS does not verify: not from this subscriber's card, or not for this RAND")
)

// RAND is the random challenge.
type RAND [16]byte

// AUTN is SQN xor AK (6 octets), AMF (2), MAC-A (8) (TS 33.102 §6.3.2).
type AUTN [16]byte

// AMF gives the authentication management field that AUTN carries in clear.
func (a AUTN) AMF() AMF { return AMF{a[6], a[7]} }

// AUTS is SQN_MS xor AK* (6 octets), MAC-S (8) (TS 33.102 §6.3.3).
type AUTS [14]byte

// DecodeAUTS reads AUTS from a message; it wants 14 octets.
func DecodeAUTS(b []byte) (a AUTS, err error) {
	if len(b) != len(a) {
		return a, fmt.Errorf("aka: AUTS of %d octets, want 14", len(b))
	}
	copy(a[:], b)
	return a, nil
}

// DecodeAUTN reads AUTN from a message; it wants 16 octets.
func DecodeAUTN(b []byte) (a AUTN, err error) {
	if len(b) != len(a) {
		return a, fmt.Errorf("aka: AUTN of %d octets, want 16", len(b))
	}
	copy(a[:], b)
	return a, nil
}

// AMF is the authentication management field.
type AMF [2]byte

// Separation reports bit 0 of AMF, the separation bit: set for EPS
// (TS 33.102 §H, TS 33.401 §6.1.1).
func (a AMF) Separation() bool { return a[0]&0x80 != 0 }

// AMFEPS gives the AMF of an EPS vector: separation bit 1, the rest 0.
func AMFEPS() AMF { return AMF{0x80, 0} }

// RES is a response, or XRES, the expected one: 4 to 16 octets, compared in
// constant time, printed as "[redacted]".
type RES = secret.RES

// Algorithm is a set of the functions f1 to f5* of TS 33.102 §6.3 under one
// subscriber's key: a *milenage.Cipher, an *xor.Cipher, an operator's own. It is
// safe for concurrent use.
type Algorithm interface {
	// F1 gives MAC-A and MAC-S (f1, f1*) for a RAND, a SQN and an AMF.
	F1(rand [16]byte, sqn [6]byte, amf [2]byte) (macA, macS [8]byte)
	// F2345 gives RES, CK, IK and AK, which a card needs before it knows SQN.
	F2345(rand [16]byte) (res RES, ck, ik secret.Key128, ak [6]byte)
	// F12345 gives what F1 and F2345 do but MAC-S, for a network's vector.
	F12345(rand [16]byte, sqn [6]byte, amf [2]byte) (macA [8]byte, res RES, ck, ik secret.Key128, ak [6]byte)
	// F5Star gives the anonymity key of a resynchronisation token.
	F5Star(rand [16]byte) (ak [6]byte)
}

// Vector is an authentication vector, the quintuplet of TS 33.102 §6.3.2.
type Vector struct {
	RAND RAND
	AUTN AUTN
	XRES RES
	CK   secret.Key128
	IK   secret.Key128
}

// Generate makes the vector for one RAND and SQN, on the network side. For EPS
// pass AMFEPS(). No number may be used twice for a subscriber: see NextSEQ.
func Generate(f Algorithm, rand RAND, sqn SQN, amf AMF) Vector {
	v := Vector{RAND: rand}
	o := sqn.Octets()
	macA, res, ck, ik, ak := f.F12345(rand, o, amf)
	v.XRES, v.CK, v.IK = res, ck, ik
	subtle.XORBytes(v.AUTN[:6], o[:], ak[:])
	copy(v.AUTN[6:], amf[:])
	copy(v.AUTN[8:], macA[:])
	return v
}

// KASME derives K_ASME of this vector for a serving network.
func (v Vector) KASME(plmn id.PLMN) secret.Key256 { return KASME(v.CK, v.IK, plmn, v.AUTN) }

// VerifyAUTS checks a resynchronisation token against the RAND that the phone
// was challenged with and gives the card's SQN_MS (TS 33.102 §6.3.5), on the
// network side. ErrAUTS when it is not authentic.
func VerifyAUTS(f Algorithm, rand RAND, auts AUTS) (SQN, error) {
	ak := f.F5Star(rand)
	var sqn [6]byte
	subtle.XORBytes(sqn[:], auts[:6], ak[:])
	_, macS := f.F1(rand, sqn, [2]byte{}) // AMF* is zero (TS 33.102 §6.3.3)
	if subtle.ConstantTimeCompare(macS[:], auts[6:]) != 1 {
		return 0, ErrAUTS
	}
	return DecodeSQN(sqn), nil
}

// BuildAUTS makes a resynchronisation token for the highest number a card has
// accepted (TS 33.102 §6.3.3), on the USIM side.
func BuildAUTS(f Algorithm, rand RAND, ms SQN) (auts AUTS) {
	o, ak := ms.Octets(), f.F5Star(rand)
	_, macS := f.F1(rand, o, [2]byte{})
	subtle.XORBytes(auts[:6], o[:], ak[:])
	copy(auts[6:], macS[:])
	return auts
}
