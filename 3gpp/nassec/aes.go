package nassec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"campanile.network/3gpp/secret"
)

// longText is the number of octets beyond which the standard library's counter
// mode, eight blocks at a time, is worth its allocation.
const longText = 512

// aesBlock is AES-128 with the subkeys of CMAC (RFC 4493 §2.3) and scratch that
// keeps calls through cipher.Block off the heap.
type aesBlock struct {
	b       cipher.Block
	k1, k2  [16]byte
	in, out [16]byte
}

func newAES(key secret.Key128) *aesBlock {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic("nassec: 16-byte AES key refused: " + err.Error())
	}
	a := &aesBlock{b: b}
	b.Encrypt(a.out[:], a.in[:])
	a.k1 = double(a.out)
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

// ctr is 128-EEA2 (TS 33.401 §B.1.3): CTR mode with the counter block COUNT ||
// BEARER || DIRECTION || 0^26 || 0^64.
func (a *aesBlock) ctr(count uint32, bearer uint8, dir Direction, data []byte) {
	a.in = [16]byte{}
	binary.BigEndian.PutUint32(a.in[:], count)
	binary.BigEndian.PutUint32(a.in[4:], uint32(bearer)<<27|uint32(dir&1)<<26)
	if len(data) > longText {
		cipher.NewCTR(a.b, a.in[:]).XORKeyStream(data, data)
		return
	}
	for n := uint64(1); len(data) >= 16; n++ {
		a.b.Encrypt(a.out[:], a.in[:])
		xor8(data, a.out[:])
		xor8(data[8:], a.out[8:])
		data = data[16:]
		binary.BigEndian.PutUint64(a.in[8:], n)
	}
	if len(data) > 0 {
		a.b.Encrypt(a.out[:], a.in[:])
		subtle.XORBytes(data, data, a.out[:])
	}
}

// cmac is 128-EIA2 (TS 33.401 §B.2.3): the first 32 bits of AES-CMAC over
// COUNT || BEARER || DIRECTION || 0^26 || message. The message has n bits.
func (a *aesBlock) cmac(count uint32, bearer uint8, dir Direction, data []byte, n int) uint32 {
	a.in = [16]byte{}
	binary.BigEndian.PutUint32(a.in[:], count)
	binary.BigEndian.PutUint32(a.in[4:], uint32(bearer)<<27|uint32(dir&1)<<26)
	// The first block has room for 8 octets of the message, those after it for 16.
	at := a.in[8:]
	if n > 64 {
		xor8(at, data)
		data, n = data[8:], n-64
		a.b.Encrypt(a.in[:], a.in[:])
		for at = a.in[:]; n > 128; n -= 128 {
			xor8(a.in[:8], data)
			xor8(a.in[8:], data[8:])
			data = data[16:]
			a.b.Encrypt(a.in[:], a.in[:])
		}
	}
	subtle.XORBytes(at, at, data)
	if n == 8*len(at) {
		subtle.XORBytes(a.in[:], a.in[:], a.k1[:])
	} else {
		if n%8 != 0 { // undo what lies beyond the last bit
			at[n/8] ^= data[n/8] & (0xff >> (n % 8))
		}
		at[n/8] ^= 0x80 >> (n % 8)
		subtle.XORBytes(a.in[:], a.in[:], a.k2[:])
	}
	a.b.Encrypt(a.out[:], a.in[:])
	return binary.BigEndian.Uint32(a.out[:])
}

// xor8 sums eight octets into dst.
func xor8(dst, src []byte) {
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)^binary.LittleEndian.Uint64(src))
}
