// Package aes128 is AES with keys of 128 bits (FIPS 197) for short messages: an
// expanded key is a value, nothing goes to the heap, and the chain that makes a
// CMAC stays in the processor's registers from block to block. Milenage and
// 128-EIA2 spend their time in just that.
//
// It is no cipher of its own: the work is done by the processor's AES
// instructions, whose time does not depend on what they work on, and where
// there are none by crypto/aes. Everything but single blocks and that chain is
// crypto/aes's affair.
package aes128

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"

	"campanile.network/3gpp/secret"
)

// Key is an expanded key. Make it with Expand; it is then only read.
type Key struct {
	round [11][16]byte
	block cipher.Block // where the processor has no AES instructions
}

// Expand makes the round keys of k.
func Expand(k secret.Key128) (x Key) {
	if instructions {
		expand(&x.round, (*[16]byte)(&k))
		return x
	}
	x.block = portable(k)
	return x
}

// portable is crypto/aes, which takes any key of 16 octets.
func portable(k secret.Key128) cipher.Block {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic("aes128: 16-byte AES key refused: " + err.Error())
	}
	return b
}

// Encrypt sets dst to src encrypted; they may be the same.
func (k *Key) Encrypt(dst, src *[16]byte) {
	if k.block == nil {
		encrypt(&k.round, dst, src)
		return
	}
	b := *src
	k.block.Encrypt(b[:], b[:])
	*dst = b
}

// Chain adds each 16 octets of data to state and encrypts that, as CMAC does
// with all blocks but its last (RFC 4493 §2.4). Octets behind the last whole
// block are left out.
func (k *Key) Chain(state *[16]byte, data []byte) {
	n := len(data) / 16
	if n == 0 {
		return
	}
	if k.block == nil {
		chain(&k.round, state, &data[0], n)
		return
	}
	b := *state
	for ; n > 0; n-- {
		subtle.XORBytes(b[:], b[:], data[:16])
		k.block.Encrypt(b[:], b[:])
		data = data[16:]
	}
	*state = b
}

// Format prints "[redacted]" whatever the verb.
func (Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }
