package aka

import (
	"crypto/hmac"
	"crypto/sha256"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
)

// kdf is the generic derivation of TS 33.220 §B.2: HMAC-SHA-256 over
// FC || P0 || L0 || P1 || L1 ... ; s holds that string.
func kdf(key, s []byte) (out secret.Key256) {
	h := hmac.New(sha256.New, key)
	h.Write(s)
	h.Sum(out[:0])
	return out
}

// join gives CK || IK, the input key of derivations from a UMTS context.
func join(ck, ik secret.Key128) (key secret.Key256) {
	copy(key[:16], ck[:])
	copy(key[16:], ik[:])
	return key
}

// KASME derives K_ASME (TS 33.401 §A.2, FC 0x10) for a serving network. The
// parameter SQN xor AK is taken from the first six octets of AUTN.
func KASME(ck, ik secret.Key128, plmn id.PLMN, autn AUTN) secret.Key256 {
	key := join(ck, ik)
	var s [14]byte
	sn := plmn.Octets()
	s[0] = 0x10
	copy(s[1:4], sn[:])
	s[5] = 3
	copy(s[6:12], autn[:6])
	s[13] = 6
	return kdf(key[:], s[:])
}

// KeNB derives K_eNB (TS 33.401 §A.3, FC 0x11) for the 24-bit uplink NAS COUNT
// of the message that brought the phone to connected mode.
func KeNB(kasme secret.Key256, ulCount uint32) secret.Key256 {
	return kdf32(kasme, 0x11, ulCount)
}

// NH derives the next hop parameter (TS 33.401 §A.4, FC 0x12). sync is K_eNB
// for the first NH of a chain (NCC 1) and the previous NH afterwards.
func NH(kasme, sync secret.Key256) secret.Key256 {
	var s [35]byte
	s[0] = 0x12
	copy(s[1:33], sync[:])
	s[34] = 32
	return kdf(kasme[:], s[:])
}

// KeNBStar derives K_eNB* (TS 33.401 §A.5, FC 0x13) from K_eNB (horizontal) or
// NH (vertical) for the target's physical cell id and downlink EARFCN. An
// EARFCN above 65535 is coded in three octets.
func KeNBStar(key secret.Key256, pci uint16, earfcn uint32) secret.Key256 {
	s := make([]byte, 0, 10)
	s = append(s, 0x13, byte(pci>>8), byte(pci), 0, 2)
	if earfcn > 0xffff {
		s = append(s, byte(earfcn>>16), byte(earfcn>>8), byte(earfcn), 0, 3)
	} else {
		s = append(s, byte(earfcn>>8), byte(earfcn), 0, 2)
	}
	return kdf(key[:], s)
}

// Use tells for what an algorithm key is derived: the algorithm type
// distinguisher of TS 33.401 table A.7-1.
type Use uint8

// Algorithm type distinguishers (TS 33.401 table A.7-1).
const (
	NASEnc Use = 1 // K_NASenc, from K_ASME
	NASInt Use = 2 // K_NASint, from K_ASME
	RRCEnc Use = 3 // K_RRCenc, from K_eNB
	RRCInt Use = 4 // K_RRCint, from K_eNB
	UPEnc  Use = 5 // K_UPenc, from K_eNB
	UPInt  Use = 6 // K_UPint, from K_eNB
)

// AlgorithmKey derives the 128-bit key of one algorithm (TS 33.401 §A.7, FC
// 0x15): the last 16 octets of the output. alg is the EEA or EIA number, 0..15.
func AlgorithmKey(key secret.Key256, use Use, alg uint8) (out secret.Key128) {
	long := kdf(key[:], []byte{0x15, byte(use), 0, 1, alg & 0x0f, 0, 1})
	copy(out[:], long[16:])
	return out
}
