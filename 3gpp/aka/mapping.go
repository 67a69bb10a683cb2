package aka

import (
	"encoding/binary"

	"campanile.network/3gpp/secret"
)

// The derivations of TS 33.401 §A for mobility between E-UTRAN and UTRAN or
// GERAN, and for dual connectivity.

// kdf32 derives with one 32-bit parameter.
func kdf32(key secret.Key256, fc byte, p0 uint32) secret.Key256 {
	var s [7]byte
	s[0] = fc
	binary.BigEndian.PutUint32(s[1:], p0)
	s[6] = 4
	return kdf(key[:], s[:])
}

// split is the opposite of join.
func split(key secret.Key256) (ck, ik secret.Key128) {
	return secret.Key128(key[:16]), secret.Key128(key[16:])
}

// HandoverCKIK derives CK' and IK' for UTRAN or GERAN from K_ASME and the downlink
// NAS COUNT at handover (TS 33.401 §A.8, FC 0x16).
func HandoverCKIK(kasme secret.Key256, dlCount uint32) (ck, ik secret.Key128) {
	return split(kdf32(kasme, 0x16, dlCount))
}

// NASToken derives the NAS token from K_ASME and the uplink NAS COUNT
// (TS 33.401 §A.9, FC 0x17). A P-TMSI signature takes 16 bits of it: of which
// end is the caller's to know.
func NASToken(kasme secret.Key256, ulCount uint32) secret.Key256 {
	return kdf32(kasme, 0x17, ulCount)
}

// HandoverKASME derives K'_ASME from CK, IK and the MME's nonce at handover from
// UTRAN or GERAN (TS 33.401 §A.10, FC 0x18).
func HandoverKASME(ck, ik secret.Key128, nonceMME [4]byte) secret.Key256 {
	return kdf32(join(ck, ik), 0x18, binary.BigEndian.Uint32(nonceMME[:]))
}

// IdleKASME derives K'_ASME from CK, IK and both nonces when a phone comes from
// UTRAN or GERAN in idle mode (TS 33.401 §A.11, FC 0x19).
func IdleKASME(ck, ik secret.Key128, nonceUE, nonceMME [4]byte) secret.Key256 {
	key := join(ck, ik)
	var s [13]byte
	s[0] = 0x19
	copy(s[1:], nonceUE[:])
	s[6] = 4
	copy(s[7:], nonceMME[:])
	s[12] = 4
	return kdf(key[:], s[:])
}

// SRVCCKeys derives CK_SRVCC and IK_SRVCC from K_ASME and the downlink NAS COUNT
// when a call goes over to the circuit switched side (TS 33.401 §A.12, FC 0x1A).
func SRVCCKeys(kasme secret.Key256, dlCount uint32) (ck, ik secret.Key128) {
	return split(kdf32(kasme, 0x1a, dlCount))
}

// IdleCKIK derives CK' and IK' for UTRAN or GERAN from K_ASME and the uplink NAS
// COUNT when a phone leaves in idle mode (TS 33.401 §A.13, FC 0x1B).
func IdleCKIK(kasme secret.Key256, ulCount uint32) (ck, ik secret.Key128) {
	return split(kdf32(kasme, 0x1b, ulCount))
}

// SKeNB derives S-K_eNB, or S-K_gNB of EN-DC, from the master's K_eNB and the SCG
// counter (TS 33.401 §A.15, FC 0x1C).
func SKeNB(kenb secret.Key256, scgCounter uint16) secret.Key256 {
	return kdf(kenb[:], []byte{0x1c, byte(scgCounter >> 8), byte(scgCounter), 0, 2})
}

// HashMME gives HASH_MME or HASH_UE over a plain NAS message: the last 8 octets of
// the derivation function under a key of zeros (TS 33.401 §I.2).
func HashMME(message []byte) (h [8]byte) {
	var zero secret.Key256
	long := kdf(zero[:], message)
	copy(h[:], long[24:])
	return h
}
