package aka

import (
	"crypto/subtle"
	"fmt"
	"log/slog"

	"campanile.network/3gpp/secret"
)

// SRES is the response of a SIM, or the expected one of a triplet: 4 octets. It
// prints as "[redacted]".
type SRES [4]byte

// Format prints "[redacted]" whatever the verb.
func (SRES) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// LogValue gives slog "[redacted]".
func (SRES) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText refuses with secret.ErrRefused.
func (SRES) MarshalText() ([]byte, error) { return nil, secret.ErrRefused }

// Equal compares with a response off the air in constant time; a response of
// another length is unequal.
func (s SRES) Equal(got []byte) bool { return subtle.ConstantTimeCompare(s[:], got) == 1 }

// Triplet is a GSM authentication vector (TS 43.020 §3.2): from a SIM's
// algorithm, as those of package comp128, or out of a Vector.
type Triplet struct {
	RAND RAND
	SRES SRES
	Kc   secret.Key64
}

// Triplet converts a UMTS vector to a GSM one by the conversion functions c1, c2
// and c3 (TS 33.102 §6.8.1.2): c1 leaves RAND as it is.
func (v Vector) Triplet() Triplet {
	return Triplet{RAND: v.RAND, SRES: C2(v.XRES), Kc: C3(v.CK, v.IK)}
}

// C2 gives the SRES of a RES: its 32-bit words summed modulo 2, zeros taken for
// the octets that a RES shorter than 16 has not (TS 33.102 §6.8.1.2).
func C2(res RES) (s SRES) {
	for i, b := range res.Padded() {
		s[i&3] ^= b
	}
	return s
}

// C3 gives the Kc of CK and IK: their halves summed modulo 2
// (TS 33.102 §6.8.1.2).
func C3(ck, ik secret.Key128) (kc secret.Key64) {
	for i := range ck {
		kc[i&7] ^= ck[i] ^ ik[i]
	}
	return kc
}

// C4 gives the CK that a GSM subscriber has in UMTS: Kc || Kc
// (TS 33.102 §6.8.2.3).
func C4(kc secret.Key64) (ck secret.Key128) {
	copy(ck[:8], kc[:])
	copy(ck[8:], kc[:])
	return ck
}

// C5 gives the IK that a GSM subscriber has in UMTS: Kc1 xor Kc2 || Kc ||
// Kc1 xor Kc2, with Kc1 and Kc2 the halves of Kc (TS 33.102 §6.8.2.3).
func C5(kc secret.Key64) (ik secret.Key128) {
	subtle.XORBytes(ik[:4], kc[:4], kc[4:])
	copy(ik[4:12], kc[:])
	copy(ik[12:], ik[:4])
	return ik
}

// UMTSKeys gives CK and IK of the triplet for UMTS access of a GSM subscriber,
// by C4 and C5.
func (t Triplet) UMTSKeys() (ck, ik secret.Key128) { return C4(t.Kc), C5(t.Kc) }

// Kc128 derives the 128-bit key of A5/4 and GEA4 from CK and IK: the first 16
// octets of the output (TS 33.102 §B.5, FC 0x32). Only in a UMTS security
// context: a SIM has none.
func Kc128(ck, ik secret.Key128) (out secret.Key128) {
	key := join(ck, ik)
	long := kdf(key[:], []byte{0x32})
	copy(out[:], long[:16])
	return out
}

// AuthenticateGSM answers a GSM challenge as a USIM in a GSM context does
// (TS 33.102 §6.8.1.5, TS 31.102 §7.1.2): no AUTN, no
// sequence number, SRES and Kc by c2 and c3.
func (u *USIM) AuthenticateGSM(rand RAND) (SRES, secret.Key64) {
	res, ck, ik, _ := u.f.F2345(rand)
	return C2(res), C3(ck, ik)
}
