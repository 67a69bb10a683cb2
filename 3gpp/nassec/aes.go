package nassec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"campanile.network/3gpp/internal/aes128"
	"campanile.network/3gpp/secret"
)

// longText is the number of octets beyond which the standard library's counter
// mode, eight blocks at a time, is worth what it allocates.
const longText = 512

// eea2 is 128-EEA2 under one key.
type eea2 struct {
	key  aes128.Key
	long cipher.Block // for texts longer than longText
}

func newEEA2(key secret.Key128) *eea2 {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic("nassec: 16-byte AES key refused: " + err.Error())
	}
	return &eea2{aes128.Expand(key), b}
}

// eia2 is 128-EIA2 under one key, with the subkeys of CMAC (RFC 4493 §2.3).
type eia2 struct {
	key    aes128.Key
	k1, k2 [16]byte
}

func newEIA2(key secret.Key128) *eia2 {
	a := &eia2{key: aes128.Expand(key)}
	var zero [16]byte
	a.key.Encrypt(&zero, &zero)
	a.k1 = double(zero)
	a.k2 = double(a.k1)
	return a
}

// double multiplies by x in GF(2^128), polynomial 0x87, without a branch.
func double(v [16]byte) [16]byte {
	hi, lo := binary.BigEndian.Uint64(v[:]), binary.BigEndian.Uint64(v[8:])
	carry := hi >> 63
	hi = hi<<1 | lo>>63
	lo = lo<<1 ^ -carry&0x87
	binary.BigEndian.PutUint64(v[:], hi)
	binary.BigEndian.PutUint64(v[8:], lo)
	return v
}

// apply is counter mode with the counter block COUNT || BEARER || DIRECTION ||
// 0^26 || 0^64 (TS 33.401 §B.1.3).
func (a *eea2) apply(count uint32, bearer uint8, dir Direction, data []byte) {
	in := first(count, bearer, dir)
	if len(data) > longText {
		iv := in // goes to the heap, which in then need not
		cipher.NewCTR(a.long, iv[:]).XORKeyStream(data, data)
		return
	}
	var out [16]byte
	for n := uint64(1); len(data) >= 16; n++ {
		a.key.Encrypt(&out, &in)
		xor8(data, out[:])
		xor8(data[8:], out[8:])
		data = data[16:]
		binary.BigEndian.PutUint64(in[8:], n)
	}
	if len(data) > 0 {
		a.key.Encrypt(&out, &in)
		subtle.XORBytes(data, data, out[:])
	}
}

// first is COUNT || BEARER || DIRECTION || 0^26 || 0^64.
func first(count uint32, bearer uint8, dir Direction) (b [16]byte) {
	binary.BigEndian.PutUint32(b[:], count)
	binary.BigEndian.PutUint32(b[4:], uint32(bearer)<<27|uint32(dir&1)<<26)
	return b
}

// code is the first 32 bits of AES-CMAC over COUNT || BEARER || DIRECTION || 0^26
// || message (TS 33.401 §B.2.3). The message has n bits.
func (a *eia2) code(count uint32, bearer uint8, dir Direction, data []byte, n int) uint32 {
	in := first(count, bearer, dir)
	// The first block has room for 8 octets of the message, those after it for 16.
	at := in[8:]
	if n > 64 {
		xor8(at, data)
		a.key.Encrypt(&in, &in)
		data, n = data[8:], n-64
		whole := (n - 1) / 128 * 16 // the last block, whole or not, is left
		a.key.Chain(&in, data[:whole])
		data, n, at = data[whole:], n-8*whole, in[:]
	}
	subtle.XORBytes(at, at, data)
	if n == 8*len(at) {
		subtle.XORBytes(in[:], in[:], a.k1[:])
	} else {
		if n%8 != 0 { // undo what lies beyond the last bit
			at[n/8] ^= data[n/8] & (0xff >> (n % 8))
		}
		at[n/8] ^= 0x80 >> (n % 8)
		subtle.XORBytes(in[:], in[:], a.k2[:])
	}
	a.key.Encrypt(&in, &in)
	return binary.BigEndian.Uint32(in[:])
}

// xor8 sums eight octets into dst.
func xor8(dst, src []byte) {
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)^binary.LittleEndian.Uint64(src))
}
