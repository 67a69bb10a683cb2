package codec

import "math/bits"

// EncodeMu appends the µ-law octets of linear samples to dst (ITU-T G.711).
func EncodeMu(dst []byte, pcm []int16) []byte {
	for _, s := range pcm {
		dst = append(dst, compressMu(s))
	}
	return dst
}

// DecodeMu appends the linear samples of µ-law octets to dst (ITU-T G.711).
func DecodeMu(dst []int16, law []byte) []int16 {
	for _, b := range law {
		dst = append(dst, fromMu[b])
	}
	return dst
}

// EncodeA appends the A-law octets of linear samples to dst (ITU-T G.711).
func EncodeA(dst []byte, pcm []int16) []byte {
	for _, s := range pcm {
		dst = append(dst, compressA(s))
	}
	return dst
}

// DecodeA appends the linear samples of A-law octets to dst (ITU-T G.711).
func DecodeA(dst []int16, law []byte) []int16 {
	for _, b := range law {
		dst = append(dst, fromA[b])
	}
	return dst
}

var (
	fromMu = table(expandMu)
	fromA  = table(expandA)
)

func table(expand func(byte) int16) (t [256]int16) {
	for i := range t {
		t[i] = expand(byte(i))
	}
	return t
}

// expandMu gives the value of a µ-law octet (G.711 table 2), scaled from 14 bits
// to 16.
func expandMu(b byte) int16 {
	b = ^b
	v := (int16(b&0x0f)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		return -v
	}
	return v
}

// compressMu finds the µ-law octet of a sample.
func compressMu(s int16) byte {
	v, sign := int32(s), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, 32635) + 0x84
	segment := byte(max(bits.Len32(uint32(v))-8, 0))
	return ^(sign | segment<<4 | byte(v>>(segment+3))&0x0f)
}

// expandA gives the value of an A-law octet (G.711 table 1), scaled from 13 bits
// to 16.
func expandA(b byte) int16 {
	b ^= 0x55
	v := int16(b&0x0f)<<4 + 8
	if segment := b >> 4 & 7; segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		return -v
	}
	return v
}

// compressA finds the A-law octet of a sample.
func compressA(s int16) byte {
	v, sign := int32(s), byte(0x80)
	if v < 0 {
		v, sign = -v-1, 0
	}
	segment := byte(max(bits.Len32(uint32(v))-8, 0))
	step := max(segment, 1) + 3
	return (sign | segment<<4 | byte(v>>step)&0x0f) ^ 0x55
}
