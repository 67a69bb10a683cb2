package digest

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// A nonce that carries a challenge of a card is RAND, or RAND and AUTN, and
// whatever else the server wants back: in hexadecimal digits towards OpenBTS,
// in base64 by RFC 3310 §3.2 and towards YateBTS.

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// HexNonce writes a RAND as OpenBTS reads it: 32 digits.
func HexNonce(rand [16]byte) string { return hexOf(rand[:]) }

// AKANonce writes the nonce of AKAv1-MD5 (RFC 3310 §3.2); without AUTN it is
// YateBTS's for a SIM of GSM.
func AKANonce(rand [16]byte, autn *[16]byte) string {
	b := rand[:]
	if autn != nil {
		b = append(b, autn[:]...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// ReadNonce takes RAND, and AUTN where there is one, out of a nonce in either
// writing. OpenBTS may lose leading zeros of the RAND: a nonce of at most 32
// hexadecimal digits is read as a number.
// Error: ErrNonce.
func ReadNonce(nonce string) (rand [16]byte, autn *[16]byte, err error) {
	if isHex(nonce) && (len(nonce) == 64 || len(nonce) <= 32) {
		if len(nonce) < 32 {
			nonce = strings.Repeat("0", 32-len(nonce)) + nonce
		}
		b, err := hex.DecodeString(nonce)
		if err != nil {
			return rand, nil, ErrNonce
		}
		return splitNonce(b)
	}
	b, err := decode64(nonce)
	if err != nil || len(b) < 16 {
		return rand, nil, ErrNonce
	}
	return splitNonce(b)
}

func splitNonce(b []byte) (rand [16]byte, autn *[16]byte, err error) {
	copy(rand[:], b)
	if len(b) >= 32 {
		a := [16]byte(b[16:32])
		autn = &a
	}
	return rand, autn, nil
}

func decode64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// SRES reads a response that is a SIM's SRES in one to eight hexadecimal
// digits: some builds of OpenBTS lose its leading zeros, so it is a number.
func SRES(response string) (sres [4]byte, ok bool) {
	v, err := strconv.ParseUint(response, 16, 32)
	if err != nil || !isHex(response) || len(response) > 8 {
		return sres, false
	}
	return [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}, true
}
