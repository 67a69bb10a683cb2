package eps

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// NetworkName is the name of a network as phones show it (TS 24.008
// §10.5.3.5a), in its octets on the wire.
type NetworkName string

// sevenBit are the characters with the same code in the GSM 7 bit default
// alphabet (TS 23.038) and in ASCII.
const sevenBit = "\n\r !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewNetworkName writes s in the GSM 7 bit alphabet, or in UCS2 where it has
// a character that is not ASCII or has another code there. Names longer than
// 60 characters are cut.
func NewNetworkName(s string) NetworkName {
	r := []rune(s)
	if len(r) > 60 {
		r = r[:60]
	}
	s = string(r)
	if strings.Trim(s, sevenBit) != "" || strings.ContainsFunc(s, func(c rune) bool { return !strings.ContainsRune(sevenBit, c) }) {
		b := []byte{0x90} // extension bit, UCS2
		for _, u := range utf16.Encode(r) {
			b = binary.BigEndian.AppendUint16(b, u)
		}
		return NetworkName(b)
	}
	b := make([]byte, 1+(len(s)*7+7)/8)
	for i := range len(s) {
		at := i * 7
		w := uint16(s[i]) << (at % 8)
		b[1+at/8] |= byte(w)
		if w > 0xff {
			b[2+at/8] |= byte(w >> 8)
		}
	}
	spare := (len(b)-1)*8 - len(s)*7
	b[0] = 0x80 | byte(spare)
	return NetworkName(b)
}

// Text is the name. Characters of the GSM alphabet that ASCII does not have
// in the same place are shown as U+FFFD.
func (n NetworkName) Text() string {
	if n == "" {
		return ""
	}
	b := []byte(n[1:])
	switch n[0] >> 4 & 7 {
	case 0:
		var s strings.Builder
		bits := len(b)*8 - int(n[0]&7)
		for at := 0; at+7 <= bits; at += 7 {
			w := uint16(b[at/8])
			if at/8+1 < len(b) {
				w |= uint16(b[at/8+1]) << 8
			}
			c := rune(w >> (at % 8) & 0x7f)
			if !strings.ContainsRune(sevenBit, c) {
				c = '\ufffd'
			}
			s.WriteRune(c)
		}
		return s.String()
	case 1:
		u := make([]uint16, len(b)/2)
		for i := range u {
			u[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(u))
	}
	return ""
}

func (n *NetworkName) decode(b []byte) error { *n = NetworkName(b); return nil }

func (n *NetworkName) encode(dst []byte) []byte { return append(dst, *n...) }

// String is the name in quotes.
func (n NetworkName) String() string { return fmt.Sprintf("%q", n.Text()) }
